// Shows how loud a microphone is, ten times a second, and gathers what it measured.

import { decibels } from "./room.js";

const EVERY_MS = 100;
const LOWEST_DB = -70;

export class LevelMeter {
  levels = []; // dB, since the start
  #analyser;
  #element;
  #onLevel;
  #timer = null;

  /** `analyser()`: the AnalyserNode to look at, or null. `element`: a <meter>. `onLevel(db)` after each measurement. */
  constructor({ analyser, element, onLevel }) {
    [this.#analyser, this.#element, this.#onLevel] = [analyser, element, onLevel];
  }

  start() {
    this.stop();
    this.levels = [];
    this.#timer = setInterval(() => this.#measure(), EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#element.value = LOWEST_DB;
  }

  #measure() {
    const analyser = this.#analyser();
    if (!analyser) return;
    const wave = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(wave);
    const db = decibels(Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length));
    this.#element.value = Math.max(LOWEST_DB, db);
    this.levels.push(db);
    this.#onLevel(db);
  }
}
