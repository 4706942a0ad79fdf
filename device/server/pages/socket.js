// The connection to the device: says hello, finds out when nobody answers, and comes back by itself.

const FIRST_RETRY = 500;
const LAST_RETRY = 10000;
const PING_EVERY = 15000;
const PATIENCE = 8000;
export const NO_KEY = 4401;

/**
 * @param {object} told `message(body)`, `sound(body, pcm)`, `state("connecting"|"online"|"offline"|"locked", reason)`.
 */
export class Connection {
  #retry = FIRST_RETRY;
  #timers = new Set();
  #speech = null;

  constructor(credentials, told) {
    this.credentials = credentials;
    this.told = told;
    this.socket = null;
    this.online = false;
    addEventListener("online", () => this.again());
    document.addEventListener("visibilitychange", () => document.hidden || this.again());
  }

  connect() {
    this.#clear();
    this.told.state("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/kiosk/socket`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.#later(() => socket.close(), PATIENCE);
    socket.onopen = () => socket.send(JSON.stringify({ do: "hello", ...this.credentials.value }));
    socket.onmessage = (event) => socket === this.socket && this.#receive(event.data);
    socket.onclose = (event) => socket === this.socket && this.#closed(event);
  }

  /** Try at once instead of waiting, if there is no connection. */
  again() {
    if (this.socket?.readyState === WebSocket.CLOSED && !this.locked) this.connect();
  }

  send(message) {
    if (!this.online) return false;
    this.socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
    return true;
  }

  #receive(data) {
    if (data instanceof ArrayBuffer) {
      if (this.#speech) this.told.sound(this.#speech, data);
      this.#speech = null;
      return;
    }
    const body = JSON.parse(data);
    if (body.type === "pong") return this.#alive();
    if (body.type === "welcome") {
      this.online = true;
      this.locked = false;
      this.#retry = FIRST_RETRY;
      if (body.pass) this.credentials.usePass(body.pass);
      else this.credentials.keep();
      this.#alive();
      this.told.state("online");
    }
    if (body.type === "speech") this.#speech = body;
    else this.told.message(body);
  }

  /** Somebody is there; ask again in a while, and give up on who does not answer. */
  #alive() {
    this.#clear();
    const socket = this.socket;
    this.#later(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send('{"do":"ping"}');
      this.#later(() => {
        socket.close();
        if (socket === this.socket) this.#closed({ code: 0 }); // a dead network takes minutes to close by itself
      }, PATIENCE);
    }, PING_EVERY);
  }

  #closed(event) {
    this.socket.onclose = this.socket.onmessage = null;
    this.#clear();
    this.online = false;
    this.locked = event.code === NO_KEY;
    if (this.locked) {
      this.credentials.forget();
      this.told.state("locked", event.reason);
      return;
    }
    this.told.state("offline");
    // Some randomness, so that the phones of a room do not all come at once.
    this.#later(() => this.connect(), this.#retry * (0.75 + Math.random() / 2));
    this.#retry = Math.min(this.#retry * 2, LAST_RETRY);
  }

  #later(call, after) {
    const timer = setTimeout(() => (this.#timers.delete(timer), call()), after);
    this.#timers.add(timer);
  }

  #clear() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
