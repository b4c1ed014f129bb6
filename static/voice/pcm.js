// PCM16 at 24 kHz: units, level and the ring that keeps what was captured. Holds no audio nodes, sockets or clock.

export const RATE_HZ = 24_000;
export const FRAME_SAMPLES = 960; // 40 ms
export const RING_SAMPLES = 60 * RATE_HZ;

export const msOf = (samples) => Math.floor((samples * 1000) / RATE_HZ);

/** Root mean square of Int16 samples, 0 to 1. */
export function level(samples) {
  let sum = 0;
  for (const value of samples) sum += value * value;
  return samples.length ? Math.sqrt(sum / samples.length) / 32_768 : 0;
}

/**
 * The last `capacity` samples of a stream whose samples are numbered from 0.
 * `start` and `end` bound what is kept: `start <= n < end`.
 */
export class Ring {
  #kept;
  #end = 0;

  constructor(capacity = RING_SAMPLES) {
    this.#kept = new Int16Array(capacity);
  }

  get end() {
    return this.#end;
  }

  get start() {
    return Math.max(0, this.#end - this.#kept.length);
  }

  push(samples) {
    const size = this.#kept.length;
    const fresh = samples.length > size ? samples.subarray(samples.length - size) : samples;
    let at = (this.#end + samples.length - fresh.length) % size;
    const first = Math.min(fresh.length, size - at);
    this.#kept.set(fresh.subarray(0, first), at);
    this.#kept.set(fresh.subarray(first), 0);
    this.#end += samples.length;
  }

  /** A copy of at most `count` samples from number `from` on; throws RangeError outside of what is kept. */
  read(from, count) {
    if (from < this.start || from > this.#end) throw new RangeError("these samples are not kept");
    const size = this.#kept.length;
    const length = Math.min(count, this.#end - from);
    const out = new Int16Array(length);
    const at = from % size;
    const first = Math.min(length, size - at);
    out.set(this.#kept.subarray(at, at + first));
    out.set(this.#kept.subarray(0, length - first), first);
    return out;
  }
}
