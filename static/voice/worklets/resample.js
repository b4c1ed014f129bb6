// Streaming resampler between two rates (windowed sinc, one filter per phase). Allocates only when made.

const TAPS_HALF = 24; // zero crossings on each side: images and aliases below -80 dB
const CUT = 0.94; // of the lower Nyquist frequency
const ROOM = 8_192; // samples of input that one push may bring

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

/** Blackman window, `x` from -1 to 1. */
const blackman = (x) => 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

export class Resampler {
  #up;
  #down;
  #taps;
  #filter; // #up filters of #taps each
  #input;
  #filled;
  #phase = 0;

  /** `delay` is the latency in input samples: push that many zeros to get the last real ones out. */
  constructor(fromHz, toHz) {
    const common = divisor(fromHz, toHz);
    this.#up = toHz / common;
    this.#down = fromHz / common;
    const narrowing = Math.min(1, toHz / fromHz);
    const half = Math.ceil(TAPS_HALF / narrowing);
    this.#taps = 2 * half;
    this.#filter = new Float32Array(this.#up * this.#taps);
    for (let phase = 0; phase < this.#up; phase++) {
      const row = this.#filter.subarray(phase * this.#taps, (phase + 1) * this.#taps);
      let sum = 0;
      for (let k = 0; k < row.length; k++) {
        const x = k + 1 - half - phase / this.#up;
        row[k] = Math.abs(x) > half ? 0 : sinc(x * narrowing * CUT) * blackman(x / half);
        sum += row[k];
      }
      for (let k = 0; k < row.length; k++) row[k] /= sum; // every phase passes a constant unchanged
    }
    this.#input = new Float32Array(this.#taps + ROOM);
    this.delay = half;
    this.reset();
  }

  reset() {
    this.#input.fill(0);
    this.#filled = this.#taps - 1;
    this.#phase = 0;
  }

  /** Takes Float32 samples (at most ROOM), writes to `out`, returns how many were written. */
  push(samples, count, out) {
    for (let k = 0; k < count; k++) this.#input[this.#filled + k] = samples[k];
    const end = this.#filled + count;
    let written = 0;
    let at = 0;
    while (at + this.#taps <= end) {
      const row = this.#phase * this.#taps;
      let sum = 0;
      for (let k = 0; k < this.#taps; k++) sum += this.#input[at + k] * this.#filter[row + k];
      out[written++] = sum;
      this.#phase += this.#down;
      while (this.#phase >= this.#up) {
        this.#phase -= this.#up;
        at++;
      }
    }
    this.#input.copyWithin(0, at, end);
    this.#filled = end - at;
    return written;
  }
}
