// The browser's microphone: opened at the first press, and let go when nobody has talked for a while.

const IDLE = 60000;
const RATE = 16000;
/** Milliseconds that are still heard after the release: what was said just before is on its way through the system. */
const TAIL = 150;

/** Why there is no microphone: `insecure`, `micRefused` or `micMissing`, keys of the page's texts. */
export class MicrophoneError extends Error {}

export class Microphone {
  #context = null;
  #prepared = null;
  #node = null;
  #stream = null;
  #opening = null;
  #idle = 0;

  /** @param lost Called when the microphone goes away by itself. */
  constructor(lost) {
    this.lost = lost;
    this.deliver = null;
    this.ended = null;
  }

  static get possible() {
    return isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
  }

  get open() { return this.#node !== null; }
  get rate() { return this.#context?.sampleRate ?? RATE; }

  /** Ask for the microphone, if it is not open. */
  async ask() {
    if (!Microphone.possible) throw new MicrophoneError("insecure");
    if (this.#node) {
      if (this.#context.state !== "running") await this.#context.resume();
      return;
    }
    this.#opening ??= this.#start().finally(() => (this.#opening = null));
    await this.#opening;
  }

  /** Load what the first press needs, so that its first word is not missed. */
  prepare() {
    if (!Microphone.possible || this.#prepared) return;
    this.#use(new AudioContext({ sampleRate: RATE, latencyHint: "interactive" }));
  }

  #use(context) {
    this.#context = context;
    this.#prepared = context.audioWorklet.addModule("recorder.js");
  }

  async #start() {
    this.prepare();
    void this.#context.resume(); // which takes as long as the question for the microphone
    try {
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new MicrophoneError(error.name === "NotFoundError" ? "micMissing" : "micRefused");
    }
    const source = this.#source();
    await this.#prepared;
    await this.#context.resume();
    const node = new AudioWorkletNode(this.#context, "recorder", { numberOfInputs: 1, numberOfOutputs: 1 });
    source.connect(node).connect(this.#context.destination); // which plays silence, and keeps the node running
    node.port.onmessage = ({ data }) => {
      if (data.done) this.ended?.();
      else this.deliver?.(data.pcm, data.level);
    };
    this.#stream.getTracks()[0].onended = () => { this.close(); this.lost(); };
    this.#node = node;
  }

  /** Firefox cannot resample a microphone: there the device does it. */
  #source() {
    try {
      return this.#context.createMediaStreamSource(this.#stream);
    } catch {
      void this.#context.close();
      this.#use(new AudioContext({ latencyHint: "interactive" }));
      return this.#context.createMediaStreamSource(this.#stream);
    }
  }

  /** Hand what is heard from now on, and a moment before, to `deliver(pcm, level)`. */
  begin(deliver) {
    clearTimeout(this.#idle);
    this.deliver = deliver;
    this.#node.port.postMessage("begin");
  }

  /** Stop, a moment later; resolves when the last piece has been delivered. */
  async end() {
    await new Promise((done) => setTimeout(done, TAIL));
    if (!this.#node) return;
    await new Promise((done) => { this.ended = done; this.#node.port.postMessage("end"); });
    this.deliver = this.ended = null;
    this.#idle = setTimeout(() => this.close(), IDLE);
  }

  close() {
    clearTimeout(this.#idle);
    this.ended?.();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    void this.#context?.close();
    this.#context = this.#prepared = this.#node = this.#stream = null;
    if (!document.hidden) this.prepare();
  }
}
