// What opens over the conversation: typing, settings, the QR code, and the question for the key.

import { TEXTS, direction, nameOf } from "./texts.js";

const byId = (id) => document.getElementById(id);

/** Fill a fieldset with radio buttons. */
function choices(fieldset, name, options, chosen, act) {
  let box = fieldset.querySelector(".options");
  if (!box) fieldset.append((box = Object.assign(document.createElement("div"), { className: "options" })));
  box.replaceChildren(...options.map(({ value, text, lang, disabled, label }) => {
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value, checked: value === chosen, disabled: Boolean(disabled) });
    if (label) input.setAttribute("aria-label", label);
    input.addEventListener("change", () => act(value));
    const element = document.createElement("label");
    if (lang) element.lang = lang;
    element.append(input, text);
    return element;
  }));
}

function closable(dialog, closed = () => {}) {
  for (const button of dialog.querySelectorAll(".leave")) button.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", closed);
  dialog.querySelector("form")?.addEventListener("submit", (event) => event.preventDefault());
}

export class Settings {
  constructor(preferences) {
    this.preferences = preferences;
    this.dialog = byId("settings");
    closable(this.dialog);
  }

  open(say, { device, place }) {
    const option = (...values) => values.map((value) => ({ value, text: say(value) }));
    const offered = {
      size: ["1", "2", "3", "4", "5"].map((value) => ({ value, text: "A", label: `${say("textSize")} ${value}` })),
      theme: option("auto", "light", "dark", "contrast"),
      layout: option("facing", "beside"),
      place: [{ value: "here", text: say("here") }, { value: "device", text: say("device"), disabled: !device }],
      sound: option("on", "off"),
      language: Object.keys(TEXTS).map((value) => ({ value, text: nameOf(value), lang: value })),
    };
    for (const [name, options] of Object.entries(offered)) {
      const chosen = name === "place" ? place : this.preferences[name];
      choices(this.dialog.querySelector(`[data-setting="${name}"]`), name, options, chosen, (value) => this.preferences.set(name, value));
    }
    if (!this.dialog.open) this.dialog.showModal();
  }
}

/** Where people type; nothing of it is lost when the connection is, or the page. */
export class Composer {
  /** @param submit Told the side, the two languages, the text and the entry that is corrected (or null); returns the
   *  message's id, and whether it was sent. */
  constructor(typed, submit) {
    this.typed = typed;
    this.dialog = byId("composer");
    this.text = byId("composer-text");
    this.note = byId("composer-note");
    this.waiting = null;
    closable(this.dialog, () => { this.waiting = null; });
    this.text.addEventListener("input", () => this.#draft());
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.dialog.querySelector("form").requestSubmit();
      }
    });
    this.dialog.querySelector("form").addEventListener("submit", () => {
      const text = this.text.value.trim();
      if (!text) return;
      const { id, sent } = submit({ side: this.side, sides: this.sides, text, entry: this.entry });
      this.waiting = id;
      this.note.textContent = this.say(sent ? "wait" : "kept");
    });
  }

  open(say, sides, side, entry, turned) {
    const draft = this.typed.state.draft;
    this.say = say;
    this.entry = entry;
    this.sides = sides;
    this.side = entry ? entry.side : draft ? draft.side : side;
    this.text.value = entry ? entry.heard : draft ? draft.text : "";
    this.note.textContent = "";
    this.dialog.classList.toggle("turned", turned);
    const names = sides.map((tag, value) => ({ value: String(value), text: nameOf(tag), lang: tag, disabled: Boolean(entry) && value !== this.side }));
    choices(byId("composer-side"), "composer-side", names, String(this.side), (value) => this.#chooseSide(Number(value)));
    this.#chooseSide(this.side);
    this.dialog.showModal();
    this.text.focus();
  }

  /** The answer to what was typed is there. */
  answered(id) {
    if (id !== this.waiting) return;
    if (!this.entry) this.typed.draft(null);
    this.dialog.close();
  }

  /** It cannot be translated; the text stays. */
  failed(id, why) {
    if (id === this.waiting) this.note.textContent = `${this.say("refused")} ${why}`;
  }

  #chooseSide(side) {
    this.side = side;
    this.text.lang = this.sides[side];
    this.text.dir = direction(this.sides[side]);
    this.#draft();
  }

  #draft() {
    if (!this.entry) this.typed.draft(this.text.value ? { side: this.side, text: this.text.value } : null);
  }
}

export class Invitation {
  constructor() {
    this.dialog = byId("invitation");
    closable(this.dialog, () => byId("code").replaceChildren());
  }

  open(say) {
    this.say = say;
    byId("code").replaceChildren();
    byId("invitation-url").textContent = "";
    byId("invitation-note").textContent = say("wait");
    this.dialog.showModal();
  }

  show({ url, svg, seconds, secure }) {
    if (!this.dialog.open) return;
    byId("invitation-url").textContent = url ?? "";
    if (!url) {
      byId("invitation-note").textContent = this.say("noPhones");
      return;
    }
    const code = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
    code.setAttribute("role", "img");
    code.setAttribute("aria-label", `QR: ${url}`);
    byId("code").replaceChildren(document.adoptNode(code));
    const notes = [this.say("scan", { minutes: Math.round(seconds / 60) })];
    if (!secure) notes.push(this.say("noPhoneMic"));
    byId("invitation-note").textContent = notes.join(" ");
  }
}

export class KeyQuestion {
  constructor(answer) {
    this.dialog = byId("key");
    this.dialog.addEventListener("cancel", (event) => event.preventDefault());
    this.dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = byId("key-input");
      if (!input.value.trim()) return;
      answer(input.value.trim());
      input.value = "";
    });
  }

  open(say, wrong) {
    byId("key-text").textContent = say(wrong ? "keyWrong" : "keyText");
    if (!this.dialog.open) this.dialog.showModal();
    byId("key-input").focus();
  }

  close() {
    this.dialog.close();
  }
}
