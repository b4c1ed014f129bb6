// Capture worklet: the microphone's quanta become Int16 frames of 24 kHz, posted by transfer. Knows nothing of sockets.

import { Resampler } from "./resample.js";

const RATE_HZ = 24_000;

/** Posts `{frame: ArrayBuffer}`. On "stop" it answers `{stopped: true}` and lets go: else its closed context would be kept for ever. */
class Capture extends AudioWorkletProcessor {
  #samples; // per frame
  #frame;
  #filled = 0;
  #resampler = sampleRate === RATE_HZ ? null : new Resampler(sampleRate, RATE_HZ);
  #converted = new Float32Array(2_048);
  #running = true;

  constructor(options) {
    super();
    this.#samples = options?.processorOptions?.frameSamples ?? 960;
    this.#frame = new Int16Array(this.#samples);
    this.port.onmessage = ({ data }) => {
      if (data === "stop") this.#running = false;
    };
  }

  process(inputs) {
    if (!this.#running) {
      this.port.postMessage({ stopped: true });
      return false;
    }
    const heard = inputs[0]?.[0];
    if (!heard) return true; // the source is not connected yet, or has just gone
    if (this.#resampler) this.#take(this.#converted, this.#resampler.push(heard, heard.length, this.#converted));
    else this.#take(heard, heard.length);
    return true;
  }

  #take(samples, count) {
    for (let k = 0; k < count; k++) {
      const value = Math.max(-1, Math.min(1, samples[k]));
      this.#frame[this.#filled++] = value < 0 ? value * 32_768 : value * 32_767;
      if (this.#filled === this.#samples) {
        this.port.postMessage({ frame: this.#frame.buffer }, [this.#frame.buffer]);
        this.#frame = new Int16Array(this.#samples);
        this.#filled = 0;
      }
    }
  }
}

registerProcessor("capture", Capture);
