// The bars that show who is heard: microphone while listening, output while speaking, flat when muted. Draws, decides nothing.

const BARS = 24; // at most
const BAR_PX = 6.5;
const LOWEST_BIN = 2; // below is rumble
const RISE = 0.5; // how fast a bar follows, per frame
const FALL = 0.18;

export class Visualizer {
  #canvas;
  #brush;
  #levels = new Float32Array(BARS);
  #bins = new Uint8Array(512);
  #source = null;
  #frame = null;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas) {
    this.#canvas = canvas;
    this.#brush = canvas.getContext("2d");
  }

  /** `source()` gives the AnalyserNode to show now, or null for flat bars. */
  start(source) {
    this.#source = source;
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = this.#source = null;
    this.#levels.fill(0);
  }

  #draw() {
    this.#frame = requestAnimationFrame(() => this.#draw());
    const { clientWidth: wide, clientHeight: high } = this.#canvas;
    const bars = Math.min(BARS, Math.floor(wide / BAR_PX));
    const density = Math.min(3, devicePixelRatio || 1);
    if (this.#canvas.width !== Math.round(wide * density)) [this.#canvas.width, this.#canvas.height] = [Math.round(wide * density), Math.round(high * density)];
    this.#listen(bars);
    const brush = this.#brush;
    brush.setTransform(density, 0, 0, density, 0, 0);
    brush.clearRect(0, 0, wide, high);
    brush.fillStyle = getComputedStyle(this.#canvas).color;
    const step = wide / bars;
    const thick = Math.max(2, step * 0.52);
    for (let bar = 0; bar < bars; bar++) {
      const tall = Math.max(thick, this.#levels[bar] * high);
      brush.beginPath();
      brush.roundRect(bar * step + (step - thick) / 2, (high - tall) / 2, thick, tall, thick / 2);
      brush.fill();
    }
  }

  #listen(bars) {
    const analyser = this.#still.matches ? null : this.#source?.();
    if (analyser) analyser.getByteFrequencyData(this.#bins);
    for (let bar = 0; bar < bars; bar++) {
      // The middle shows the low voice, both sides the higher parts: a symmetrical figure.
      const part = Math.abs(bar - (bars - 1) / 2) / (bars / 2);
      const bin = LOWEST_BIN + Math.round(part ** 1.6 * 120);
      const wanted = analyser ? Math.max(0, this.#bins[bin] / 255 - 0.12) * 1.1 : 0;
      const now = this.#levels[bar];
      this.#levels[bar] = now + (wanted - now) * (wanted > now ? RISE : FALL);
    }
  }
}
