// Which received frames go to the speaker, and what the relay is told of them. Holds no audio nodes and no sockets.

/** Counts received samples per item, so that audio sent again after a reconnection is heard once. */
export class Downlink {
  #item = null;
  #at = 0; // number of the next sample to arrive
  #have = 0; // samples of the item that were passed on
  #refused = null; // item that was cut off: its frames are dropped

  /** What is in the page already, for `hello`; null before the first item. */
  get received() {
    return this.#item === null ? null : { item_id: this.#item, samples: this.#have };
  }

  /** True when this begins another item than the one before, or leaves a gap in it. */
  begin(item, offset) {
    this.#at = offset;
    if (item === this.#item && offset <= this.#have) return false;
    this.#item = item;
    this.#have = offset;
    return true;
  }

  /** The part of a frame that was not passed on before, or null. `samples`: Int16Array. */
  accept(samples) {
    const known = Math.max(0, Math.min(samples.length, this.#have - this.#at));
    this.#at += samples.length;
    if (this.#item === null || this.#item === this.#refused || known === samples.length) return null;
    this.#have = this.#at;
    return known ? samples.slice(known) : samples;
  }

  /** Cut off this item: nothing of it is passed on any more. */
  refuse(item) {
    this.#refused = item;
  }

  forget() {
    this.#item = this.#refused = null;
    this.#at = this.#have = 0;
  }
}
