// The caption line: the current utterance only, the heard part bright. The thread's rows are elsewhere.

export class Captions {
  #element;
  #item = null;
  #text = "";
  #role = null;
  #heard = 0; // 0 to 1 of the text
  #said = document.createElement("span");
  #rest = document.createTextNode("");
  shown = true;

  constructor(element) {
    this.#element = element;
    this.#said.className = "said";
    element.append(this.#said, this.#rest);
  }

  /** A message of the relay. */
  take({ type, item_id: item, role, text }) {
    if (type === "speech.started") this.#begin(item, "user");
    else if (type === "transcript.delta") this.#add(item, role, text);
    else if (type === "transcript.done") this.#replace(item, role, text);
    this.#show();
  }

  /** `part` (0 to 1) of the item's sound was heard. */
  heard(item, part) {
    if (item !== this.#item) return;
    this.#heard = Math.max(this.#heard, Math.min(1, part));
    this.#show();
  }

  clear() {
    this.#begin(null, null);
    this.#show();
  }

  #begin(item, role) {
    [this.#item, this.#role, this.#text, this.#heard] = [item, role, "", 0];
  }

  #add(item, role, text) {
    // A person's words that come late do not take the line back from the answer.
    if (item !== this.#item && role === "user" && this.#role === "assistant") return;
    if (item !== this.#item) this.#begin(item, role);
    this.#text += text;
  }

  #replace(item, role, text) {
    if (item !== this.#item && this.#role === "assistant") return;
    if (item !== this.#item) this.#begin(item, role);
    this.#text = text;
  }

  #show() {
    const cut = this.#role === "assistant" ? Math.round(this.#text.length * this.#heard) : this.#text.length;
    this.#said.textContent = this.#text.slice(0, cut);
    this.#rest.data = this.#text.slice(cut);
    this.#element.classList.toggle("partial", this.#role === "user");
    this.#element.hidden = !this.shown || this.#text === "";
    // The line being spoken stays in view: whole lines, so that none is cut through.
    const line = parseFloat(getComputedStyle(this.#element).lineHeight);
    this.#element.scrollTop = Math.max(0, Math.round(this.#said.offsetHeight / line) - 2) * line;
  }
}
