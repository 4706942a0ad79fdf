// Runs on the audio thread: 40 ms of 16-bit PCM a message while somebody talks, and the moment before.

const MESSAGE = 0.04;
const BEFORE = 0.3;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round(sampleRate * MESSAGE));
    this.filled = 0;
    this.level = 0;
    this.on = false;
    this.early = [];
    this.port.onmessage = ({ data }) => {
      if (data === "begin") {
        for (const block of this.early.splice(0)) this.post(block);
        this.on = true;
      } else {
        if (this.on && this.filled) this.post(this.block.slice(0, this.filled));
        this.on = false;
        this.filled = 0;
        this.port.postMessage({ done: true });
      }
    };
  }

  post(block) {
    this.port.postMessage({ pcm: block.buffer, level: this.level }, [block.buffer]);
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (const sample of samples) {
      this.level = Math.max(this.level * 0.9995, Math.abs(sample));
      this.block[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled < this.block.length) continue;
      this.filled = 0;
      const block = this.block.slice();
      if (this.on) this.post(block);
      else {
        this.early.push(block);
        if (this.early.length > BEFORE / MESSAGE) this.early.shift();
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
