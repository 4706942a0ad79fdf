// Plays speech in the browser: piece after piece without a gap, nothing while somebody talks, silence when asked.

export class Loudspeaker {
  #context = null;
  #sources = new Set();
  #held = null;
  #next = 0;

  /** @param changed Told whether something is being said. */
  constructor(changed) {
    this.changed = changed;
  }

  /** Be ready; browsers want a press for it. */
  wake() {
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
    if (this.#context.state !== "running") void this.#context.resume();
  }

  get speaking() { return this.#sources.size > 0; }

  /** Play 16-bit PCM after what is being played. */
  play(pcm, rate) {
    if (this.#held) return void this.#held.push([pcm, rate]);
    this.wake();
    const samples = new Int16Array(pcm);
    if (!samples.length) return;
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) channel[i] = samples[i] / 32768;
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    this.#next = Math.max(this.#next, this.#context.currentTime + 0.02);
    source.start(this.#next);
    this.#next += buffer.duration;
    this.#sources.add(source);
    source.onended = () => {
      this.#sources.delete(source);
      if (!this.#sources.size) this.changed(false);
    };
    if (this.#sources.size === 1) this.changed(true);
  }

  /** Somebody has the floor: be silent, and keep what comes for later. */
  hold() {
    this.stop();
    this.#held = [];
  }

  go() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const [pcm, rate] of held) this.play(pcm, rate);
  }

  stop() {
    const spoke = this.speaking;
    for (const source of this.#sources) { source.onended = null; source.stop(); }
    this.#sources.clear();
    this.#next = 0;
    if (this.#held) this.#held = [];
    if (spoke) this.changed(false);
  }
}
