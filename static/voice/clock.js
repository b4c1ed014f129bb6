// The relay's clock as the page knows it: from pings and their answers. The quickest exchange is the most exact one. No timers.

const KEPT = 24; // those of the start and a minute more: clocks drift apart
const FIRST = 12; // one after the other at the start of a connection, then one with each heartbeat

export class RelayClock {
  #exchanges = []; // {rttMs, aheadMs}: there and back; the relay's clock less the page's
  /** ms of the latest exchange, null before the first. */
  rttMs = null;

  forget() {
    this.#exchanges.length = 0;
    this.rttMs = null;
  }

  /** True while the clock wants another ping at once. */
  get isNew() {
    return this.#exchanges.length < FIRST;
  }

  /** `t`: the page's time when the ping went, `now`: the relay's when it answered. */
  answered({ t, now }, receivedAt) {
    this.rttMs = Math.max(0, receivedAt - t);
    this.#exchanges.push({ rttMs: this.rttMs, aheadMs: now - (t + receivedAt) / 2 });
    if (this.#exchanges.length > KEPT) this.#exchanges.shift();
  }

  /** A time of the page as ms since the session began, or undefined when no ping was answered yet. */
  ofRelay(at) {
    if (!this.#exchanges.length) return undefined;
    return Math.round(at + this.#exchanges.reduce((best, one) => (one.rttMs < best.rttMs ? one : best)).aheadMs);
  }
}
