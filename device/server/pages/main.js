// Joins the page's parts: what people do goes to the device, and what the device says is shown.

import { Composer, Invitation, KeyQuestion, Settings } from "./dialogs.js";
import { Entries } from "./entries.js";
import { Half } from "./half.js";
import { Loudspeaker } from "./loudspeaker.js";
import { Microphone, MicrophoneError } from "./microphone.js";
import { Credentials, Preferences, Typed } from "./preferences.js";
import { Connection } from "./socket.js";
import { direction, nameOf, primary, speaker } from "./texts.js";

const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const contrast = matchMedia("(prefers-contrast: more)");

class Kiosk {
  say = speaker("en");
  welcome = { languages: {}, routes: {}, voices: [], device: false, local: false, longest_turn: 60, tls_port: null };
  state = "connecting";
  place = null;
  sides = null;
  talk = [false, false];
  status = null;
  turn = null;
  /** The end of a turn that is not over yet. */
  ending = null;
  opening = false;
  entries = new Map();
  count = 0;
  repeating = null;

  constructor() {
    this.preferences = new Preferences((name) => this.#preferred(name));
    this.typed = new Typed();
    this.credentials = new Credentials(this.preferences.address);
    this.loudspeaker = new Loudspeaker(() => this.refresh());
    this.microphone = new Microphone(() => this.#microphoneLost());
    const act = {
      press: (side) => void this.press(side), release: (side) => void this.release(side), latch: () => this.refresh(),
      pick: (side, tag) => this.pick(side, tag), choices: (side) => this.choices(side),
      repeat: (entry) => this.repeat(entry), edit: (entry, side) => this.compose(side, entry),
      speakable: (language) => this.speakable(language),
    };
    this.halves = [new Half(0, act), new Half(1, act)];
    this.history = new Entries({ ...act, edit: (entry) => this.compose(0, entry) });
    this.settings = new Settings(this.preferences);
    this.composer = new Composer(this.typed, (asked) => this.translate(asked));
    this.invitation = new Invitation();
    this.keyQuestion = new KeyQuestion((key) => { this.credentials.useKey(key); this.connection.connect(); });
    this.connection = new Connection(this.credentials, {
      message: (body) => this.#message(body), sound: (body, pcm) => this.#sound(body, pcm),
      state: (state, reason) => this.#connected(state, reason),
    });
    this.#listen();
    this.#dress();
    this.connection.connect();
  }

  // What people do

  #listen() {
    byId("open-settings").addEventListener("click", () => this.settings.open(this.say, { device: this.welcome.device, place: this.place }));
    byId("open-composer").addEventListener("click", () => this.compose(0, null));
    byId("open-invitation").addEventListener("click", () => { this.invitation.open(this.say); this.connection.send({ do: "invite" }); });
    byId("open-history").addEventListener("click", () => this.#showHistory(true));
    byId("close-history").addEventListener("click", () => this.#showHistory(false));
    byId("clear-history").addEventListener("click", () => this.#forget());
    for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, () => this.#somebody(), true);
    byId("hush").addEventListener("click", () => {
      this.loudspeaker.stop();
      this.repeating = null;
      for (const entry of this.entries.values()) entry.quiet = true; // also what of it is still to come
      this.connection.send({ do: "hush" });
    });
    byId("mute").addEventListener("click", () => this.connection.send({ do: "mute", muted: !this.status?.muted }));
    for (const media of [dark, contrast]) media.addEventListener("change", () => this.#dress());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && byId("history").hasAttribute("data-open")) this.#showHistory(false);
      const half = this.#spaceMeans(event);
      if (half) { event.preventDefault(); if (!event.repeat) half.talk.keyDown(); }
    });
    document.addEventListener("keyup", (event) => {
      if (event.key === " ") for (const half of this.halves) half.talk.keyUp();
    });
    addEventListener("blur", () => { for (const half of this.halves) half.talk.keyUp(); });
    // Nobody knows any longer that it listens: what was said so far is translated.
    document.addEventListener("visibilitychange", () => { if (document.hidden && this.turn) void this.release(this.turn.side); });
    addEventListener("pagehide", () => this.microphone.close());
  }

  #spaceMeans(event) {
    if (event.key !== " " || document.querySelector("dialog[open]")) return null;
    if (event.target.closest("button, input, textarea, a, .picker")) return null;
    return this.halves[event.shiftKey ? 1 : 0];
  }

  #showHistory(open) {
    byId("history").toggleAttribute("data-open", open);
    byId("open-history").setAttribute("aria-expanded", String(open));
    byId(open ? "close-history" : "open-history").focus();
  }

  #forget() {
    this.history.clear();
    byId("announcer").replaceChildren();
    for (const half of this.halves) { half.clear(); half.message(null); }
    for (const [id, entry] of this.entries) if (entry.ended) this.entries.delete(id);
    this.refresh();
  }

  /** Somebody is there: what was said is kept for a while longer. */
  #somebody() {
    clearTimeout(this.leaving);
    const minutes = this.preferences.forget;
    if (!minutes) return;
    this.leaving = setTimeout(() => {
      for (const dialog of document.querySelectorAll("dialog[open]:not(#key)")) dialog.close();
      this.typed.draft(null);
      this.#forget();
    }, minutes * 60000);
  }

  async press(side) {
    const before = this.turn;
    const turn = (this.turn = { side, phase: "starting", wanted: true, here: this.place === "here", ended: null });
    if (before && before.side !== side) this.halves[before.side].talk.reset();
    this.loudspeaker.wake();
    this.loudspeaker.hold();
    for (const half of this.halves) half.message(null);
    this.refresh();
    if (before) void this.#stop(before);
    await this.ending; // whatever turn that was: there is one microphone
    try {
      if (turn.here) await this.microphone.ask();
      if (this.turn !== turn) return;
      if (!turn.wanted) {
        if (turn.here) this.halves[side].message("micReady");
        return this.#turnOver(turn);
      }
      if (!this.connection.send({ do: "begin", side, rate: turn.here ? this.microphone.rate : 16000 })) return this.#turnOver(turn);
      if (turn.here) {
        this.microphone.begin((pcm, level) => { this.connection.send(pcm); this.halves[side].level(level); });
      }
      turn.phase = turn.here ? "talking" : "asked"; // the device says when it listens
      turn.longest = setTimeout(() => { this.halves[side].talk.reset(); void this.release(side); }, this.welcome.longest_turn * 1000);
      this.refresh();
    } catch (error) {
      this.#turnOver(turn);
      if (error instanceof MicrophoneError) this.#noMicrophone(side, error.message);
      else { this.microphone.close(); this.halves[side].message("refused", { detail: String(error) }); }
    }
  }

  async release(side) {
    const turn = this.turn;
    if (turn?.side === side) await this.#stop(turn);
  }

  async #stop(turn) {
    turn.wanted = false;
    if (turn.phase === "starting") return; // `press` sees it
    turn.ended ??= this.ending = this.#finish(turn);
    await turn.ended;
  }

  async #finish(turn) {
    turn.phase = "ending";
    if (turn.here) await this.microphone.end();
    this.connection.send({ do: "end" });
    this.#turnOver(turn);
  }

  #turnOver(turn) {
    clearTimeout(turn.longest);
    if (this.turn !== turn) return;
    this.turn = null;
    this.halves[turn.side].talk.reset();
    this.loudspeaker.go();
    this.refresh();
  }

  #noMicrophone(side, why) {
    const port = this.welcome.tls_port;
    const link = why === "insecure" && port ? { key: "openSecure", url: `https://${location.hostname}:${port}/kiosk/` } : null;
    this.halves[side].message(why, { link });
  }

  #microphoneLost() {
    const turn = this.turn;
    if (!turn?.here) return;
    this.connection.send({ do: "end" });
    this.#turnOver(turn);
    this.halves[turn.side].message("micMissing");
  }

  pick(side, tag) {
    this.lastSide = side;
    const sides = [...this.sides];
    const before = sides[side];
    sides[side] = tag;
    if (primary(sides[0]) === primary(sides[1])) sides[1 - side] = before;
    if (!this.#leads(...sides) && !this.#leads(sides[1], sides[0])) {
      const other = this.#partner(tag, sides[1 - side]);
      sides[1 - side] = other;
      this.announce(this.say("otherToo", { language: nameOf(other) }), this.preferences.language);
    }
    this.preferences.set("sides", sides);
    this.#open(sides);
  }

  #leads(from, to) {
    return (this.welcome.routes[primary(from)] ?? []).some((target) => primary(target) === primary(to));
  }

  /** Return a language that goes with another one, best both ways. */
  #partner(tag, fallback) {
    const others = Object.keys(this.welcome.languages).filter((other) => primary(other) !== primary(tag));
    const ways = (other) => this.#leads(tag, other) * 2 + this.#leads(other, tag) + (other === "en") * 0.5;
    return others.sort((a, b) => ways(b) - ways(a))[0] ?? fallback;
  }

  choices(side) {
    const other = this.sides?.[1 - side] ?? "";
    const list = Object.entries(this.welcome.languages).map(([tag, name]) => ({
      tag, name: nameOf(tag, name), readOnly: !(primary(tag) in this.welcome.routes),
      both: this.#leads(tag, other) && this.#leads(other, tag),
    }));
    return list.sort((a, b) => b.both - a.both || a.readOnly - b.readOnly || a.name.localeCompare(b.name));
  }

  speakable(language) {
    return this.welcome.voices.includes(primary(language));
  }

  repeat(entry) {
    if (!entry?.translated) return;
    this.loudspeaker.wake();
    this.#speak(entry);
  }

  #speak(entry) {
    this.loudspeaker.stop();
    this.repeating = `again-${++this.count}`;
    this.connection.send({ do: "speak", id: this.repeating, language: entry.target, text: entry.translated.slice(0, 2000) });
  }

  compose(side, entry) {
    const sides = entry ? [entry.language, entry.target] : this.sides;
    if (entry?.side === 1) sides.reverse();
    if (sides) this.composer.open(this.say, sides, side, entry, side === 1 && this.preferences.layout === "facing");
  }

  /** Have a typed or corrected text translated, now or when there is a connection again. */
  translate({ side, sides, text, entry }) {
    const id = `typed-${Date.now().toString(36)}-${++this.count}`;
    const message = { do: "translate", id, source: sides[side], target: sides[1 - side], text };
    this.loudspeaker.wake();
    this.typed.wait({ ...message, side, entry: entry?.id ?? null });
    return { id, sent: this.place !== null && this.connection.send(message) };
  }

  // What the device says

  #connected(state, reason) {
    const before = this.state;
    this.state = state === "connecting" && this.state === "offline" ? "offline" : state;
    if (state === "locked") this.keyQuestion.open(this.say, reason === "wrong");
    if (state === "online") this.keyQuestion.close();
    if (state === "offline" || state === "locked") this.#cutOff();
    if (this.state === "offline" && before !== "offline") this.announce(this.say("offline"), this.preferences.language);
    this.refresh();
  }

  #cutOff() {
    const turn = this.turn;
    if (turn) {
      this.microphone.deliver = null;
      if (turn.here && turn.phase !== "starting") void this.microphone.end();
      this.#turnOver(turn);
      this.halves[turn.side].message("lost");
    }
    for (const [id, entry] of this.entries) {
      if (!entry.final) this.entries.delete(id);
      else entry.ended = true;
    }
    this.status = null;
  }

  #message(body) {
    const handlers = {
      welcome: () => this.#welcomed(body), opened: () => this.#opened(body), status: () => { this.status = body; },
      speech_started: () => this.#began(body), partial: () => this.#heard(body, false), final: () => this.#heard(body, true),
      translation_partial: () => this.#translated(body, false), translation: () => this.#translated(body, true),
      utterance_ended: () => this.#ended(body), nothing: () => this.#nothing(), error: () => this.#failed(body),
      listening: () => { if (this.turn?.phase === "asked") this.turn.phase = "talking"; },
      translated: () => this.#typedTranslated(body), refused: () => this.#refused(body), invitation: () => this.invitation.show(body),
    };
    handlers[body.type]?.();
    this.refresh();
  }

  #welcomed(body) {
    // The device was updated while this page was open: what is here may not understand it any longer.
    if (this.welcome.version && this.welcome.version !== body.version) return location.reload();
    this.welcome = body;
    const wanted = this.preferences.place ?? (body.local || !Microphone.possible ? "device" : "here");
    this.place = body.device ? wanted : "here";
    // The device's own languages stay as they are, unless somebody has asked for others.
    this.#open(this.place === "here" || this.preferences.address.has("sides") ? this.preferences.sides : null);
  }

  #open(sides) {
    this.opening = true;
    this.connection.send({ do: "open", place: this.place, sides, sound: this.preferences.sound === "on" });
    this.refresh();
  }

  #opened(body) {
    this.opening = false;
    Object.assign(this, { place: body.place, sides: body.sides, talk: body.talk });
    if (this.place === "here") {
      this.status = null;
      this.microphone.prepare();
    }
    this.#dress();
    for (const { side, entry, ...message } of this.typed.state.waiting) this.connection.send(message);
  }

  #entry(body) {
    const id = body.utterance;
    if (!this.entries.has(id)) {
      const [oldest] = this.entries.keys();
      if (this.entries.size >= 300) this.entries.delete(oldest);
      this.entries.set(id, { id, side: body.side ?? 0, heard: "", translated: "", final: false, done: false, ended: false });
    }
    const entry = this.entries.get(id);
    entry.side = body.side ?? entry.side;
    entry.language = this.sides[entry.side];
    entry.target = this.sides[1 - entry.side];
    return entry;
  }

  #began(body) {
    this.#entry(body);
    for (const half of this.halves) half.stale();
  }

  #heard(body, final) {
    const entry = this.#entry(body);
    if (entry.final && !final) return;
    entry.heard = body.text;
    entry.final = final;
    this.#show(entry, entry.side);
    if (!final) return;
    this.history.put(entry, this.say);
    this.announce(entry.heard, entry.language);
  }

  #translated(body, done) {
    const entry = this.#entry(body);
    if (entry.done && !done) return;
    entry.translated = body.text;
    entry.done = done;
    this.#show(entry, 1 - entry.side);
    if (!done) return;
    this.history.put(entry, this.say);
    this.announce(entry.translated, entry.target);
  }

  #show(entry, side) {
    this.#somebody();
    const own = entry.side === side ? entry.language : entry.target;
    if (own === this.sides[side]) this.halves[side].show(entry, { speakable: this.speakable(entry.target) });
  }

  #ended(body) {
    const entry = this.entries.get(body.utterance);
    if (entry) entry.ended = true;
    if (body.has_text || !entry) return;
    this.entries.delete(entry.id);
    for (const half of this.halves) if (half.entry === entry) half.clear();
    if (!this.halves[entry.side].messageKey) this.halves[entry.side].message("noWords");
  }

  #nothing() {
    const side = this.turn?.side ?? this.lastSide ?? 0;
    this.halves[side].message("nothing");
  }

  #failed(body) {
    const entry = this.entries.get(body.utterance);
    const side = entry?.side ?? this.lastSide ?? 0;
    this.halves[side].message("refused", { detail: body.text });
  }

  #typedTranslated(body) {
    const asked = this.typed.state.waiting.find((message) => message.id === body.id);
    this.typed.answered(body.id);
    if (!asked) return;
    const entry = this.entries.get(asked.entry) ?? { id: body.id, side: asked.side };
    Object.assign(entry, {
      heard: asked.text, translated: body.text, final: true, done: true, ended: true, edited: Boolean(asked.entry),
      language: asked.source, target: asked.target,
    });
    this.entries.set(entry.id, entry);
    for (const side of [0, 1]) this.#show(entry, side);
    this.history.put(entry, this.say);
    this.announce(entry.translated, entry.target);
    this.composer.answered(body.id);
    if (this.preferences.sound === "on" && this.speakable(entry.target)) this.#speak(entry);
  }

  #refused(body) {
    if (body.what === "translate") {
      this.typed.answered(body.id);
      this.composer.failed(body.id, body.text);
      if (this.composer.dialog.open) return;
    }
    if (body.what === "open") this.opening = false;
    if (body.what === "begin" && this.turn) {
      const turn = this.turn;
      if (turn.here) void this.microphone.end();
      this.#turnOver(turn);
    }
    this.halves[this.lastSide ?? 0].message("refused", { detail: body.text });
  }

  #sound(body, pcm) {
    const entry = this.entries.get(body.utterance);
    const wanted = entry && !entry.quiet && this.preferences.sound === "on";
    if (wanted || body.utterance === this.repeating) this.loudspeaker.play(pcm, body.sample_rate);
  }

  /** Tell screen readers; only what is final, so that nobody is interrupted by guesses. */
  announce(text, language) {
    const line = Object.assign(document.createElement("p"), { textContent: text, lang: language });
    const log = byId("announcer");
    log.append(line);
    while (log.children.length > 20) log.firstChild.remove();
  }

  // How it looks

  #preferred(name) {
    this.#dress();
    if (name === "place" && this.welcome.device) {
      this.place = this.preferences.place;
      for (const half of this.halves) { half.clear(); half.message(null); }
      this.#open(this.place === "here" ? this.preferences.sides : null);
    }
    if (name === "sound") {
      if (this.preferences.sound === "off") this.loudspeaker.stop();
      if (this.place === "here") this.#open(this.sides);
    }
    if (name === "language" && this.settings.dialog.open) {
      this.settings.open(this.say, { device: this.welcome.device, place: this.place });
      this.settings.dialog.querySelector('[name="language"]:checked')?.focus();
    }
  }

  #dress() {
    const { theme, size, layout, language } = this.preferences;
    this.say = speaker(language);
    const automatic = contrast.matches ? "contrast" : dark.matches ? "dark" : "light";
    Object.assign(document.documentElement.dataset, { theme: theme === "auto" ? automatic : theme, size, layout });
    document.documentElement.lang = language;
    document.documentElement.dir = direction(language);
    for (const element of document.querySelectorAll("[data-text]")) element.textContent = this.say(element.dataset.text);
    const labels = { history: "open-history", type: "open-composer", phone: "open-invitation", settings: "open-settings", mute: "mute", hush: "hush" };
    for (const [key, id] of Object.entries(labels)) Object.assign(byId(id), { title: this.say(key), ariaLabel: this.say(key) });
    for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = this.say(element.dataset.label);
    byId("bar").ariaLabel = this.say("settings");
    (this.sides ?? [language, language === "en" ? "pt" : "en"]).forEach((tag, side) => {
      this.halves[side].setLanguage(tag, this.welcome.languages[tag], language);
    });
    this.history.say(this.say);
    this.refresh();
  }

  /** Show how everything stands: the buttons, the hints and the line between the halves. */
  refresh() {
    if (!this.halves) return;
    const online = this.state === "online";
    if (this.turn) this.lastSide = this.turn.side;
    for (const half of this.halves) {
      const side = half.side;
      const mine = this.turn?.side === side ? this.turn : null;
      const pressed = this.place === "device" && this.status?.direction === side;
      let talk = "idle";
      let hint = "hint";
      if (!online || this.opening || !this.sides || this.status?.muted) talk = "off";
      else if (!this.talk[side]) [talk, hint] = ["off", "readOnly"];
      else if (this.place === "device" && this.status?.mode === "open") [talk, hint] = ["off", "hintOpen"];
      else if (this.place === "here" && !Microphone.possible) talk = "off";
      else if (mine?.phase === "talking" || pressed) talk = "talking";
      else if (mine) talk = "wait";
      if (!mine && talk === "off") half.talk.reset();
      half.setTalk(talk);
      half.languageButton.disabled = !online;
      if (online && this.sides && this.place === "here" && !Microphone.possible && !half.words.text && !half.messageKey) this.#noMicrophone(side, "insecure");
      if (half.messageKey === "insecure" && this.place === "device") half.message(null);
      half.hint(online && this.sides && !half.messageKey ? hint : null);
    }
    const [lamp, text] = this.#line(online);
    byId("bar").dataset.state = lamp;
    if (byId("state-text").textContent !== text) byId("state-text").textContent = text;
    byId("hush").hidden = lamp !== "speaking";
    byId("open-invitation").hidden = Boolean(this.welcome.guest);
    byId("mute").hidden = this.place !== "device" || !online;
    byId("mute").ariaPressed = String(Boolean(this.status?.muted));
    byId("open-invitation").disabled = !online;
  }

  #line(online) {
    if (this.state === "offline") return ["trouble", this.say("offline")];
    if (!online) return ["busy", this.say("connecting")];
    if (this.opening) return ["busy", this.say("loading")];
    if (this.status?.muted) return ["trouble", this.say("muted")];
    if (this.turn?.phase === "talking" || this.status?.direction != null) return ["listening", this.say("listening")];
    const problems = this.status?.problems ?? [];
    const waiting = [...this.entries.values()].some((entry) => !entry.ended && !entry.done);
    if (waiting || this.status?.state === "translating") return ["busy", this.say("translating")];
    if (this.loudspeaker.speaking || this.status?.state === "speaking") return ["speaking", this.say("speaking")];
    if (problems.length) {
      const named = { microphone: this.say("microphone"), speaker: this.say("speaker") };
      return ["trouble", this.say("trouble", { what: problems.map((id) => named[id] ?? id).join(", ") })];
    }
    return this.status?.state === "listening" ? ["listening", this.say("listening")] : ["ready", this.say("ready")];
  }
}

new Kiosk();
