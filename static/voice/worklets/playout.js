// Playout worklet: 24 kHz PCM16 in, the context's rate out, with a jitter buffer and an exact count of what was played.

import { Resampler } from "./resample.js";

const RATE_HZ = 24_000;
const FILL_SAMPLES = 1_440; // 60 ms before the first sound
const MOST_FILL_SAMPLES = 9_600; // after underruns the buffer grows, but not past 400 ms
const CALM_SAMPLES = 240_000; // after each 10 s of sound without one it is halved again
const REPORT_SAMPLES = 2_400; // a position every 100 ms of played sound
const QUANTUM = 128;
const FIFO = 8_192; // output samples, a power of two
const FADE = 0.97; // per sample: the end of a cut dies away in about 5 ms instead of clicking

/**
 * In: `{begin: item, offset}`, `{frame: ArrayBuffer}`, `{end: item}`, `{flush: number}`.
 * Out: `{started|position|drained|flushed: item, samples, buffered}` (24 kHz samples of the item; `flush` repeats the number, `at` is the context's time), `{underruns}`.
 * One is made per page and kept.
 */
class Playout extends AudioWorkletProcessor {
  #frames = []; // Int16Array waiting
  #offset = 0; // into the first of them
  #waiting = 0;
  #items = []; // {item, from (of #taken), offset, ended}: the one being heard first
  #pushed = 0; // samples received
  #taken = 0; // samples handed to the resampler
  #resampler = sampleRate === RATE_HZ ? null : new Resampler(RATE_HZ, sampleRate);
  #chunk = new Float32Array(QUANTUM);
  #made = new Float32Array(2_048);
  #fifo = new Float32Array(FIFO);
  #read = 0;
  #write = 0;
  #zeros = 0; // pushed behind the last sample, to get it through the filter
  #playing = false;
  #fill = FILL_SAMPLES;
  #calm = 0; // samples taken since the buffer last grew or shrank
  #underruns = 0;
  #reported = 0;
  #last = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#hear(data);
  }

  #hear(data) {
    if (data.frame) {
      const frame = new Int16Array(data.frame);
      this.#frames.push(frame);
      this.#waiting += frame.length;
      this.#pushed += frame.length;
    } else if (data.begin !== undefined) {
      this.#items.push({ item: data.begin, from: this.#pushed, offset: data.offset, ended: false });
    } else if (data.end !== undefined) {
      const entry = this.#items.findLast((one) => one.item === data.end);
      if (entry) entry.ended = true;
    } else if (data.flush) this.#flush(data.flush);
  }

  /** Samples taken, less those still in the filter and the output queue. */
  #played() {
    const inside = this.#resampler ? this.#resampler.delay : 0;
    const queued = Math.ceil(((this.#write - this.#read) * RATE_HZ) / sampleRate);
    return Math.max(0, this.#taken + Math.min(0, this.#zeros - inside) - queued);
  }

  #post(kind, entry, played, more = {}) {
    const samples = entry.offset + Math.max(0, played - entry.from);
    this.port.postMessage({ [kind]: entry.item, samples, buffered: this.#waiting, ...more });
  }

  #flush(flush) {
    const played = this.#played();
    const entry = this.#items.findLast((one) => one.from <= played) ?? this.#items[0];
    if (entry) this.#post("flushed", entry, played, { flush });
    else this.port.postMessage({ flushed: null, samples: 0, buffered: 0, flush });
    this.#frames.length = this.#items.length = 0;
    this.#offset = this.#waiting = this.#zeros = 0;
    this.#taken = this.#pushed;
    this.#read = this.#write;
    this.#resampler?.reset();
    this.#playing = false;
  }

  /** Up to one quantum of source samples into #chunk; how many there were. */
  #take() {
    let count = 0;
    while (count < QUANTUM && this.#frames.length) {
      const first = this.#frames[0];
      this.#chunk[count++] = first[this.#offset++] / 32_768;
      if (this.#offset === first.length) {
        this.#frames.shift();
        this.#offset = 0;
      }
    }
    this.#waiting -= count;
    this.#taken += count;
    this.#calm += count;
    if (count) this.#zeros = 0;
    return count;
  }

  #enqueue(samples, count) {
    for (let k = 0; k < count; k++) this.#fifo[(this.#write + k) & (FIFO - 1)] = samples[k];
    this.#write += count;
  }

  #produce(wanted) {
    while (this.#write - this.#read < wanted) {
      let count = this.#take();
      if (!count) {
        // Dry. The filter still holds the last samples: zeros bring them out, then there is nothing left.
        if (!this.#resampler || this.#zeros >= this.#resampler.delay) return;
        count = Math.min(QUANTUM, this.#resampler.delay - this.#zeros);
        this.#chunk.fill(0);
        this.#zeros += count;
      }
      if (this.#resampler) this.#enqueue(this.#made, this.#resampler.push(this.#chunk, count, this.#made));
      else this.#enqueue(this.#chunk, count);
    }
  }

  process(_inputs, outputs) {
    const out = outputs[0][0];
    const last = this.#items[this.#items.length - 1];
    if (this.#calm >= CALM_SAMPLES) {
      this.#fill = Math.max(FILL_SAMPLES, this.#fill / 2);
      this.#calm = 0;
    }
    if (!this.#playing && this.#waiting && (this.#waiting >= this.#fill || last?.ended)) {
      this.#playing = true;
      this.#reported = this.#played();
      const entry = this.#items.findLast((one) => one.from <= this.#reported) ?? this.#items[0];
      if (entry) this.#post("started", entry, this.#reported, { at: currentTime });
    }
    let count = 0;
    if (this.#playing) {
      this.#produce(out.length);
      count = Math.min(out.length, this.#write - this.#read);
      for (let k = 0; k < count; k++) out[k] = this.#fifo[(this.#read + k) & (FIFO - 1)];
      this.#read += count;
      if (count) this.#last = out[count - 1];
    }
    for (let k = count; k < out.length; k++) out[k] = this.#last *= FADE;
    if (Math.abs(this.#last) < 1e-6) this.#last = 0;
    this.#account(count < out.length);
    return true;
  }

  /** Tell of items that are over, of the position, and of running dry. */
  #account(dry) {
    const played = this.#played();
    while (this.#items.length > 1 && this.#items[1].from <= played) {
      this.#post("drained", this.#items[0], this.#items[1].from);
      this.#items.shift();
      this.#playing &&= this.#waiting > 0; // nothing of the next one came yet: no underrun, a pause
      if (this.#playing) this.#post("started", this.#items[0], played, { at: currentTime });
    }
    const entry = this.#items[0];
    if (!entry) return;
    if (entry.ended && this.#items.length === 1 && !this.#waiting && dry) {
      this.#post("drained", entry, this.#taken);
      this.#items.length = 0;
      this.#playing = false;
    } else if (this.#playing && dry) {
      this.#playing = false;
      this.#fill = Math.min(MOST_FILL_SAMPLES, this.#fill * 2);
      this.#calm = 0;
      this.port.postMessage({ underruns: ++this.#underruns });
      this.#post("position", entry, played);
    } else if (this.#playing && played - this.#reported >= REPORT_SAMPLES) {
      this.#reported = played;
      this.#post("position", entry, played);
    }
  }
}

registerProcessor("playout", Playout);
