// One short notice at a time, with at most one action.

const SHOWN_MS = 8_000;

export class Toast {
  #element;
  #timer = null;
  #after = null;

  constructor(element) {
    this.#element = element;
    // Who reaches for it has the time to.
    for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, () => clearTimeout(this.#timer));
    for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, () => this.#closeSoon());
  }

  /** `onGone` is called when the notice goes away without the action having been taken. */
  show(text, { label = "", action = null, onGone = null } = {}) {
    this.#close(true);
    const button = this.#element.querySelector("button");
    this.#element.querySelector("span").textContent = text;
    button.hidden = !action;
    button.textContent = label;
    button.onclick = () => (this.#close(false), action());
    this.#after = onGone;
    this.#element.hidden = false;
    this.#closeSoon();
  }

  #closeSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#close(true), SHOWN_MS);
  }

  #close(gone) {
    clearTimeout(this.#timer);
    const after = this.#after;
    this.#after = null;
    this.#element.hidden = true;
    if (gone) after?.();
  }
}
