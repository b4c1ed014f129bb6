// Which captured samples are sent when: numbering, holding back, catching up. Sends through functions it is given.

import { RATE_HZ, FRAME_SAMPLES, Ring } from "./pcm.js";

const CATCH_UP = 4; // times real time, at most
const LARGEST_FRAME = 4_800; // samples: 200 ms, the protocol's limit
const HOLD_BYTES = 96_000; // two seconds waiting in the socket: hold, the ring keeps the rest
const MOST_BUDGET = 2 * LARGEST_FRAME;

/**
 * Samples are numbered from 0 at the session's first one, here and in the relay. A session that could not be resumed
 * starts a new numbering: `renumber` says where.
 */
export class Uplink {
  #ring;
  #send;
  #waitingBytes;
  #origin = 0; // ring number of the session's sample 0
  #next = null; // ring number of the next sample to send; null while detached
  #budget = 0;
  #pumpedAt = 0;
  #marks = []; // {at: ring number, then, passed}: `then` is called when everything before the number was sent

  /** `send(Int16Array)` sends one frame; `waitingBytes()` is the socket's own backlog. */
  constructor({ send, waitingBytes, ring = new Ring() }) {
    this.#send = send;
    this.#waitingBytes = waitingBytes;
    this.#ring = ring;
  }

  /** Samples captured in this session, also those that were not sent. */
  get captured() {
    return this.#ring.end - this.#origin;
  }

  /** Samples captured and not sent. */
  get backlog() {
    return this.#next === null ? 0 : this.#ring.end - this.#next;
  }

  get held() {
    return this.#next !== null && this.#waitingBytes() > HOLD_BYTES;
  }

  push(samples) {
    this.#ring.push(samples);
  }

  /** The relay wants samples from `from` on. */
  attach(from, now) {
    let next = this.#origin + from;
    if (next < this.#ring.start) {
      // Too old to be kept: what follows takes the lost samples' numbers, so that both sides go on counting alike.
      this.#origin += this.#ring.start - next;
      next = this.#ring.start;
    }
    if (this.#next === null) [this.#budget, this.#pumpedAt] = [LARGEST_FRAME, now];
    this.#next = Math.min(next, this.#ring.end);
    // What followed audio that did not arrive did not arrive either: it is said again after the audio.
    for (const mark of this.#marks) if (mark.at > this.#next) mark.passed = false;
  }

  detach() {
    this.#next = null;
  }

  /** The next session's sample 0 is this session's sample `heard`: the first that nobody heard. */
  renumber(heard) {
    this.#origin = Math.min(this.#ring.end, this.#origin + heard);
  }

  /** Call `then` once all that is captured by now was sent. */
  mark(then) {
    this.#marks = this.#marks.filter((mark) => mark.at >= this.#ring.start);
    this.#marks.push({ at: this.#ring.end, then, passed: false });
    this.#passMarks();
  }

  /** Send what may be sent now. Called with every captured frame, so it needs no timer of its own. */
  pump(now) {
    if (this.#next === null) return;
    const earned = ((now - this.#pumpedAt) * RATE_HZ * CATCH_UP) / 1000;
    this.#budget = Math.min(MOST_BUDGET, this.#budget + Math.max(0, earned));
    this.#pumpedAt = now;
    while (this.backlog > 0 && !this.held) {
      const count = Math.min(this.backlog, this.backlog > 2 * FRAME_SAMPLES ? LARGEST_FRAME : FRAME_SAMPLES);
      if (count > this.#budget) break;
      if (this.#next < this.#ring.start) this.attach(this.#next - this.#origin, now);
      const frame = this.#ring.read(this.#next, count);
      this.#send(frame);
      this.#next += frame.length;
      this.#budget -= frame.length;
    }
    this.#passMarks();
  }

  #passMarks() {
    for (const mark of this.#marks) {
      if (mark.passed || this.#next === null || mark.at > this.#next) continue;
      mark.passed = true;
      mark.then();
    }
  }
}
