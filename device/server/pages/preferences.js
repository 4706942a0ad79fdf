// What people chose, kept by the browser; and what the address says, which wins for this visit:
// /kiosk/#place=device&sides=en,pt&theme=dark&size=3&layout=facing&language=pt&sound=on&forget=10&pass=…

import { served } from "./texts.js";

const STORE = "dragoman-kiosk";
const CHOICES = {
  size: ["1", "2", "3", "4", "5"],
  theme: ["auto", "light", "dark", "contrast"],
  layout: ["facing", "beside"],
  place: ["here", "device"],
  sound: ["on", "off"],
};

function read(storage, name) {
  try {
    return JSON.parse(storage.getItem(name) ?? "{}");
  } catch {
    return {};
  }
}

function write(storage, name, value) {
  try {
    storage.setItem(name, JSON.stringify(value));
  } catch {
    // A browser without storage forgets; nothing else depends on it.
  }
}

/** What somebody chose, with a value for everything. */
export class Preferences {
  constructor(changed) {
    this.changed = changed;
    this.kept = read(localStorage, STORE);
    this.address = new URLSearchParams(location.hash.slice(1));
    for (const [name, value] of this.address) {
      if (CHOICES[name]?.includes(value) || (name === "language" && served(value))) this.kept[name] = value;
      if (name === "forget" && Number(value) >= 0) this.kept.forget = Number(value);
      if (name === "sides" && /^[\w-]+,[\w-]+$/.test(value)) this.kept.sides = value.split(",");
    }
    // Keys and passes do not stay where others can read them: in the address and in the browser's history.
    if (location.hash) history.replaceState(null, "", location.pathname);
  }

  get size() { return this.kept.size ?? "2"; }
  get theme() { return this.kept.theme ?? "auto"; }
  get layout() { return this.kept.layout ?? "facing"; }
  get sound() { return this.kept.sound ?? "on"; }
  get place() { return this.kept.place ?? null; }
  get sides() { return this.kept.sides ?? null; }
  /** Minutes without anybody after which what was said is forgotten; 0 never. */
  get forget() { return this.kept.forget ?? 0; }
  get language() {
    return this.kept.language ?? (navigator.languages ?? ["en"]).map(served).find(Boolean) ?? "en";
  }

  set(name, value) {
    this.kept[name] = value;
    write(localStorage, STORE, this.kept);
    this.changed(name);
  }
}

/** The key for as long as the tab is open, or the pass until it ends. */
export class Credentials {
  constructor(address) {
    this.value = {};
    const pass = address.get("pass") ?? localStorage.getItem(`${STORE}-pass`);
    const key = address.get("key") ?? sessionStorage.getItem(`${STORE}-key`);
    if (pass) this.value.pass = pass;
    if (key) this.useKey(key);
  }

  useKey(key) {
    this.value = { key };
    sessionStorage.setItem(`${STORE}-key`, key);
  }

  usePass(pass) {
    this.value = { pass };
    localStorage.setItem(`${STORE}-pass`, pass);
  }

  /** They worked: a pass from the address is worth keeping. */
  keep() {
    if (this.value.pass) localStorage.setItem(`${STORE}-pass`, this.value.pass);
  }

  forget() {
    this.value = {};
    localStorage.removeItem(`${STORE}-pass`);
    sessionStorage.removeItem(`${STORE}-key`);
  }
}

/** What somebody typed and has not been answered: it outlives the connection, and the page. */
export class Typed {
  constructor() {
    this.state = { draft: null, waiting: [], ...read(sessionStorage, `${STORE}-typed`) };
  }

  draft(value) { this.state.draft = value; this.#write(); }
  wait(message) { this.state.waiting = [...this.state.waiting.filter((m) => m.id !== message.id), message]; this.#write(); }
  answered(id) { this.state.waiting = this.state.waiting.filter((m) => m.id !== id); this.#write(); }
  #write() { write(sessionStorage, `${STORE}-typed`, this.state); }
}
