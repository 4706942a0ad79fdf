// Text that grows while somebody talks. What two versions share stays where it is; only the rest is set anew, and the
// paragraph never gets lower, so that nothing on the screen jumps.

/** Return how much of `text` is what was shown before, cut between words. */
export function sharedLength(before, text) {
  let end = 0;
  while (end < before.length && end < text.length && before[end] === text[end]) end++;
  if (end === text.length || (end === before.length && /[\s\p{P}]/u.test(text[end] ?? " "))) return end;
  const cut = text.slice(0, end).search(/\s\S*$/u);
  // Scripts without spaces are cut anywhere, but not within a character.
  if (cut < 0) return /\p{Script=Latin}|\p{Script=Cyrillic}|\p{Script=Arabic}/u.test(text) ? 0 : end;
  return cut + 1;
}

export class SteadyText {
  constructor(paragraph) {
    this.paragraph = paragraph;
    this.stable = paragraph.querySelector(".stable");
    this.fresh = paragraph.querySelector(".fresh");
    this.id = null;
    this.text = "";
  }

  /** Show one version of an utterance's text; `settled` when no other follows. */
  show(id, text, settled) {
    const same = id === this.id;
    if (!same) {
      this.paragraph.style.minBlockSize = "";
      this.paragraph.parentElement.scrollTop = 0;
    }
    const cut = settled ? text.length : same ? sharedLength(this.text, text) : 0;
    this.#set(this.stable, text.slice(0, cut));
    this.#set(this.fresh, text.slice(cut));
    this.paragraph.classList.toggle("blank", !text);
    this.id = id;
    this.text = text;
    const height = this.paragraph.offsetHeight;
    if (height > (parseFloat(this.paragraph.style.minBlockSize) || 0)) this.paragraph.style.minBlockSize = `${height}px`;
    const box = this.paragraph.parentElement;
    if (box.scrollHeight > box.clientHeight) {
      // Follow the newest line, but do not pull down whoever has scrolled back.
      if (!settled || same) box.scrollTop = this.paragraph.offsetTop + height - box.clientHeight;
    }
  }

  clear() {
    this.show(null, "", true);
  }

  #set(span, text) {
    if (span.textContent !== text) span.textContent = text;
  }
}
