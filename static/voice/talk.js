// Push-to-talk: which captured frames belong to the held button. No DOM, no sockets.

const LEAD_FRAMES = 5; // 200 ms before the press: people begin to speak a little early
const TAIL_FRAMES = 3; // 120 ms after the release

export class Talk {
  #uplink;
  #commit;
  #lead = [];
  #held = false;
  #tail = 0;

  /** `commit()` is called when everything said while the button was held has been sent. */
  constructor(uplink, commit) {
    this.#uplink = uplink;
    this.#commit = commit;
  }

  begin() {
    for (const frame of this.#lead) this.#uplink.push(frame);
    this.#lead.length = 0;
    this.#held = true;
    this.#tail = 0;
  }

  finish() {
    if (!this.#held) return;
    this.#held = false;
    this.#tail = TAIL_FRAMES;
  }

  take(frame) {
    if (this.#held || this.#tail > 0) {
      this.#uplink.push(frame);
      if (!this.#held && --this.#tail === 0) this.#uplink.mark(this.#commit);
      return;
    }
    this.#lead.push(frame);
    if (this.#lead.length > LEAD_FRAMES) this.#lead.shift();
  }
}
