// The hold-to-talk button. Held, it listens until it is released; pressed for a moment, until it is pressed again:
// for those who cannot hold, and for screen readers, which only click.

const SHORT = 350;

export class TalkButton {
  #since = 0;
  #latched = false;
  #pointer = null;
  #byKey = false;
  #ignoreClick = 0;

  /**
   * @param {HTMLButtonElement} button
   * @param {{press(): void, release(): void, latch(): void}} act
   */
  constructor(button, act) {
    this.button = button;
    this.act = act;
    this.down = false;
    button.addEventListener("pointerdown", (event) => this.#pointerDown(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(type, (event) => this.#pointerUp(event));
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) this.keyDown();
    });
    button.addEventListener("keyup", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      this.keyUp();
    });
    button.addEventListener("blur", () => this.keyUp());
    button.addEventListener("click", (event) => {
      if (event.timeStamp - this.#ignoreClick < 500) return;
      this.#begin();
      if (this.down) this.#finish(true); // a click that no finger made: press, and press again
    });
  }

  get latched() { return this.#latched; }

  #pointerDown(event) {
    if (event.button !== 0 || this.button.disabled || this.#pointer !== null) return;
    this.#pointer = event.pointerId;
    try {
      this.button.setPointerCapture(event.pointerId);
    } catch {
      // A pointer that is already gone cannot be held.
    }
    this.#begin();
  }

  #pointerUp(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#ignoreClick = event.timeStamp;
    this.#finish(event.type === "pointerup" && performance.now() - this.#since < SHORT);
  }

  keyDown() {
    if (this.button.disabled || this.#byKey) return;
    this.#byKey = true;
    this.#begin();
  }

  keyUp() {
    if (!this.#byKey) return;
    this.#byKey = false;
    this.#ignoreClick = performance.now();
    this.#finish(performance.now() - this.#since < SHORT);
  }

  #begin() {
    if (this.button.disabled) return;
    if (this.#latched) return this.reset(true);
    this.#since = performance.now();
    this.down = true;
    this.act.press();
  }

  #finish(short) {
    if (!this.down) return;
    this.down = false;
    if (short) {
      this.#latched = true;
      this.act.latch();
    } else this.act.release();
  }

  /** The turn is over, whoever ended it. */
  reset(tell = false) {
    const was = this.down || this.#latched;
    this.down = this.#latched = false;
    if (tell && was) this.act.release();
  }
}
