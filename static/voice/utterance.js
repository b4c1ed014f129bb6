// One utterance: its text as it arrives, and how much of it was heard by a position in its sound. Pure.

const CHARACTERS_PER_SAMPLE = 15 / 24_000; // of speech whose length is not known yet

export class Utterance {
  text = "";
  #made = 0; // samples of its speech known to exist
  #whole = false; // #made is all of it
  #marks = []; // {at: characters, samples}: the text from `at` on is not heard before `samples`
  #heard = 0; // samples

  constructor(item = null, role = null) {
    Object.assign(this, { item, role });
  }

  /** `samples`: speech that had been made when the text came. */
  add(text, samples) {
    this.#marks.push({ at: this.text.length, samples: samples ?? 0 });
    this.#made = Math.max(this.#made, samples ?? 0);
    this.text += text;
  }

  /** The whole text; `samples`: the length of its speech. Without it, a completed one was heard already. */
  finish(text, samples, status) {
    this.text = text;
    if (samples || status === "completed") [this.#made, this.#whole] = [samples ?? 0, true];
  }

  heard(samples) {
    this.#heard = Math.max(this.#heard, samples);
  }

  /** Characters heard, in whole words. What a person said was heard by the one who said it. */
  get said() {
    const length = this.text.length;
    if (this.role !== "assistant") return length;
    const guess = this.#made + CHARACTERS_PER_SAMPLE ** -1 * (length - (this.#marks.at(-1)?.at ?? 0));
    const all = this.#whole ? this.#made : guess;
    if (this.#heard >= all) return length;
    const later = this.#marks.find(({ samples }) => samples > this.#heard);
    const most = Math.min(later?.at ?? length, (length * this.#heard) / all);
    return this.text.slice(0, most + 1).search(/\s*\S*$/); // the word being spoken is not heard yet
  }
}
