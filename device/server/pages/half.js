// One half of the screen: what is said, in the language of whoever sits there, and the button to talk.

import { SteadyText } from "./steady.js";
import { TalkButton } from "./talk.js";
import { direction, nameOf, primary, served, speaker } from "./texts.js";

export class Half {
  /** @param act `press`, `release`, `latch`, `pick`, `choices`, `repeat`, `edit`; each is told the side. */
  constructor(side, act) {
    this.side = side;
    this.act = act;
    this.element = document.getElementById(`side-${side}`);
    this.element.append(document.getElementById("half").content.cloneNode(true));
    const find = (selector) => this.element.querySelector(selector);
    this.languageButton = find(".language");
    this.said = find(".said");
    this.words = new SteadyText(find(".words"));
    this.hintText = find(".hint");
    this.messageBox = find(".message");
    this.talkButton = find(".talk");
    this.label = find(".talk .label");
    this.disc = find(".disc");
    this.picker = find(".picker");
    this.repeatButton = find(".repeat");
    this.editButton = find(".edit");
    this.entry = null;
    this.tag = "en";
    this.say = speaker("en");
    this.talk = new TalkButton(this.talkButton, {
      press: () => act.press(side), release: () => act.release(side), latch: () => act.latch(side),
    });
    this.languageButton.addEventListener("click", () => this.#openPicker());
    find(".picker .leave").addEventListener("click", () => this.closePicker());
    this.picker.addEventListener("keydown", (event) => this.#pickerKey(event));
    this.repeatButton.addEventListener("click", () => act.repeat(this.entry));
    this.editButton.addEventListener("click", () => act.edit(this.entry, side));
    this.words.clear();
  }

  /** Address this side in a language; the page's own language serves those that the page does not speak. */
  setLanguage(tag, fallback, pageLanguage) {
    this.tag = tag;
    const own = served(tag) ?? pageLanguage;
    this.say = speaker(own);
    this.name = nameOf(tag, fallback);
    this.element.lang = own;
    this.element.dir = direction(own);
    this.words.paragraph.lang = tag;
    this.words.paragraph.dir = direction(tag);
    const name = this.languageButton.querySelector(".name");
    name.textContent = this.name;
    name.lang = tag;
    this.languageButton.setAttribute("aria-label", `${this.say("language")}: ${this.name}`);
    this.said.setAttribute("aria-label", this.say("words", { language: this.name }));
    this.element.setAttribute("aria-label", this.name);
    for (const [button, key] of [[this.repeatButton, "repeat"], [this.editButton, "edit"]]) {
      button.setAttribute("aria-label", this.say(key));
      button.title = this.say(key);
    }
    this.picker.setAttribute("aria-label", this.say("chooseLanguage"));
    this.picker.querySelector("h2").textContent = this.say("chooseLanguage");
    this.picker.querySelector(".leave").setAttribute("aria-label", this.say("close"));
  }

  /** Show an entry's text in this side's language. */
  show(entry, { speakable }) {
    const own = entry.side === this.side;
    const text = own ? entry.heard : entry.translated;
    if (!text) return;
    this.entry = entry;
    const settled = own ? entry.final : entry.done;
    this.words.paragraph.classList.toggle("own", own);
    this.words.paragraph.classList.remove("stale");
    this.words.show(`${entry.id}:${entry.side}`, text, settled);
    this.repeatButton.hidden = own || !settled || !speakable;
    this.editButton.hidden = !own || !entry.final;
    this.hint(null);
    this.message(null);
  }

  /** Something newer is on its way. */
  stale() {
    this.words.paragraph.classList.add("stale");
  }

  clear() {
    this.entry = null;
    this.words.clear();
    this.repeatButton.hidden = this.editButton.hidden = true;
  }

  hint(key) {
    const text = key && !this.words.text ? this.say(key) : "";
    if (this.hintText.textContent !== text) this.hintText.textContent = text;
  }

  /** Say in words what is wrong: a key of the texts, what the device says about it, and where else to go. */
  message(key, { detail = "", link = null } = {}) {
    this.messageKey = key;
    this.messageBox.replaceChildren();
    if (!key) return;
    this.messageBox.append(this.say(key));
    if (detail) {
      const more = Object.assign(document.createElement("span"), { className: "detail", textContent: detail, lang: "en", dir: "ltr" });
      this.messageBox.append(more);
    }
    if (link) {
      const there = Object.assign(document.createElement("a"), { href: link.url, textContent: this.say(link.key) });
      this.messageBox.append(" ", there);
    }
    this.messageBox.scrollIntoView({ block: "nearest" });
  }

  /** @param {"idle"|"wait"|"talking"|"off"} state */
  setTalk(state) {
    this.talkButton.dataset.state = state;
    this.talkButton.disabled = state === "off";
    const talking = state === "talking";
    this.talkButton.setAttribute("aria-pressed", String(talking));
    const action = this.say(talking ? (this.talk.latched ? "again" : "release") : state === "wait" ? "wait" : "hold");
    if (this.label.textContent !== action) this.label.textContent = action;
    this.talkButton.setAttribute("aria-label", this.say("talkIn", { action, language: this.name }));
    if (!talking) this.level(0);
  }

  /** Show how loud it is, from 0 to 1. */
  level(value) {
    this.disc.style.setProperty("--level", Math.min(1, Math.sqrt(value)).toFixed(2));
  }

  #openPicker() {
    const list = this.picker.querySelector("ul");
    list.replaceChildren(...this.act.choices(this.side).map(({ tag, name, readOnly }) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name, lang: tag });
      button.setAttribute("aria-pressed", String(primary(tag) === primary(this.tag)));
      if (readOnly) {
        button.append(Object.assign(document.createElement("small"), { textContent: this.say("onlyRead"), lang: this.element.lang }));
      }
      button.addEventListener("click", () => { this.closePicker(); this.act.pick(this.side, tag); });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
    this.picker.hidden = false;
    this.languageButton.setAttribute("aria-expanded", "true");
    (list.querySelector('[aria-pressed="true"]') ?? list.querySelector("button") ?? this.picker.querySelector(".leave")).focus();
  }

  closePicker() {
    this.picker.hidden = true;
    this.languageButton.setAttribute("aria-expanded", "false");
    this.languageButton.focus();
  }

  #pickerKey(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      return this.closePicker();
    }
    const buttons = [...this.picker.querySelectorAll("button")].filter((b) => b.offsetParent !== null);
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    // The picker covers its half, so the focus stays within it.
    const wanted = event.key === "Tab" ? (event.shiftKey ? -1 : 1) : step;
    if (wanted === undefined || at < 0) return;
    event.preventDefault();
    buttons[(at + wanted + buttons.length) % buttons.length].focus();
  }
}
