// The caption line: the current utterance only, the heard part bright. The thread's rows are elsewhere.

import { Utterance } from "./utterance.js";

export class Captions {
  #element;
  #now = new Utterance();
  #said = document.createElement("span");
  #rest = document.createTextNode("");
  shown = true;

  constructor(element) {
    this.#element = element;
    this.#said.className = "said";
    element.append(this.#said, this.#rest);
  }

  /** A message of the relay. */
  take({ type, item_id: item, role, text, samples, status }) {
    if (type === "speech.started") this.#now = new Utterance(item, "user");
    else if (type === "transcript.delta") this.#of(item, role)?.add(text, samples);
    else if (type === "transcript.done") this.#of(item, role)?.finish(text, samples, status);
    else return;
    this.#show();
  }

  /** So many samples of the item were heard. */
  heard(item, samples) {
    if (item !== this.#now.item) return;
    this.#now.heard(samples);
    this.#show();
  }

  clear() {
    this.#now = new Utterance();
    this.#show();
  }

  /** The utterance to write to; a person's words that come late do not take the line back from the answer. */
  #of(item, role) {
    if (item === this.#now.item) return this.#now;
    if (role === "user" && this.#now.role === "assistant") return null;
    this.#now = new Utterance(item, role);
    return this.#now;
  }

  #show() {
    const { text, said, role } = this.#now;
    this.#said.textContent = text.slice(0, said);
    this.#rest.data = text.slice(said);
    this.#element.classList.toggle("partial", role === "user");
    this.#element.hidden = !this.shown || text === "";
    // The line being spoken stays in view: whole lines, so that none is cut through.
    const line = parseFloat(getComputedStyle(this.#element).lineHeight);
    this.#element.scrollTop = Math.max(0, Math.round(this.#said.offsetHeight / line) - 1) * line;
  }
}
