// The text box: grows with its text, Enter sends, Shift+Enter breaks the line. What was typed survives a reload.

const DRAFT = "chat.draft";

export class Composer {
  #text;
  #send;

  /** `onSend(text)` gets what was typed, trimmed. */
  constructor({ form, text, send, onSend }) {
    this.#text = text;
    this.#send = send;
    text.addEventListener("input", () => this.#changed());
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = text.value.trim();
      if (!typed) return;
      text.value = "";
      if (document.activeElement === send) text.focus(); // an empty box switches the button off
      this.#changed();
      onSend(typed);
    });
    text.value ||= this.#draft() ?? "";
    this.#changed();
    if (matchMedia("(hover: hover)").matches) text.focus();
  }

  /** Put a text into the box, behind what is there, to be changed and sent. */
  add(text) {
    this.#text.value = [this.#text.value.trimEnd(), text].filter(Boolean).join("\n");
    this.#changed();
    this.#text.focus();
  }

  #draft() {
    try {
      return sessionStorage.getItem(DRAFT + location.pathname);
    } catch {
      return null; // storage may be forbidden
    }
  }

  #changed() {
    const text = this.#text;
    this.#send.disabled = !text.value.trim();
    text.style.blockSize = "auto";
    text.style.blockSize = `${text.scrollHeight}px`;
    try {
      sessionStorage.setItem(DRAFT + location.pathname, text.value);
    } catch {
      // storage may be forbidden: then a reload loses the draft
    }
  }
}
