// The tap's recorder: hands the samples that reach the loudspeaker to the page, 100 ms at a time. Test code.
class Tap extends AudioWorkletProcessor {
  #block = new Float32Array(Math.round(sampleRate / 10));
  #filled = 0;
  #quiet = true;

  process([input]) {
    const samples = input[0];
    const first = samples ? samples.findIndex((value) => value !== 0) : -1;
    if (first >= 0 && this.#quiet) this.port.postMessage({ soundAt: currentTime + first / sampleRate });
    this.#quiet = first < 0;
    for (let i = 0; i < 128; i++) {
      this.#block[this.#filled++] = samples ? samples[i] : 0;
      if (this.#filled === this.#block.length) {
        this.port.postMessage(this.#block);
        this.#filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("test-tap", Tap);
