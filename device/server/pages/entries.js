// What was said: the newest first, in both languages, to be heard again or corrected. It is kept nowhere else, and
// forgotten with the page.

import { direction } from "./texts.js";

const MOST = 200;

export class Entries {
  /** @param act `repeat(entry)`, `edit(entry)`, `speakable(language)` */
  constructor(act) {
    this.act = act;
    this.list = document.getElementById("entries");
    this.empty = document.getElementById("history-empty");
    this.clearButton = document.getElementById("clear-history");
    this.shown = new Map();
  }

  /** Add an entry, or show what has changed of it. */
  put(entry, say) {
    const item = this.#item(entry, say);
    const before = this.shown.get(entry.id);
    if (before) before.item.replaceWith(item);
    else this.list.prepend(item);
    this.shown.set(entry.id, { entry, item });
    if (this.shown.size > MOST) {
      const [id, oldest] = this.shown.entries().next().value;
      oldest.item.remove();
      this.shown.delete(id);
    }
    this.#tell();
  }

  /** Write the buttons in another language. */
  say(say) {
    for (const { entry } of this.shown.values()) this.put(entry, say);
    this.#tell();
  }

  clear() {
    this.list.replaceChildren();
    this.shown.clear();
    this.#tell();
  }

  #tell() {
    this.empty.hidden = this.shown.size > 0;
    this.clearButton.hidden = !this.shown.size;
  }

  #item(entry, say) {
    const item = document.createElement("li");
    item.dataset.side = entry.side;
    const line = (className, text, language) =>
      Object.assign(document.createElement("p"), { className, textContent: text, lang: language, dir: direction(language) });
    item.append(line("from", entry.heard, entry.language), line("into", entry.translated ?? "", entry.target));
    const tools = Object.assign(document.createElement("div"), { className: "tools" });
    if (entry.edited) item.querySelector(".from").append(` (${say("edited")})`);
    tools.append(this.#button("i-edit", say("edit"), entry, () => this.act.edit(entry)));
    if (entry.translated && this.act.speakable(entry.target)) {
      tools.append(this.#button("i-speaker", say("repeat"), entry, () => this.act.repeat(entry)));
    }
    item.append(tools);
    return item;
  }

  #button(icon, label, entry, act) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", title: label });
    button.setAttribute("aria-label", `${label}: ${entry.heard}`);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#${icon}`);
    svg.setAttribute("aria-hidden", "true");
    svg.append(use);
    button.append(svg);
    button.addEventListener("click", act);
    return button;
  }
}
