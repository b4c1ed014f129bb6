// The speaker: received PCM16 to sound, and the truth of how much of each item was played. Knows nothing of the socket.

import { playoutContext } from "./contexts.js";
import { resumed } from "./microphone.js";
import { heardAt, outputLatency } from "./output_latency.js";
import { RATE_HZ, msOf } from "./pcm.js";

const WORKLET = new URL("./worklets/playout.js", import.meta.url);

/**
 * `on`: `position({item, samples, bufferedMs})`, `started(item, heardAt)` (by performance.now), `stopped(item)`, `cleared({item, samples})`,
 * `underrun()`.
 * Positions are what was *heard*: played samples less the output's latency.
 */
export class Speaker {
  #context = null; // kept for the page with its nodes
  #ready = null; // promise of the nodes
  #node = null;
  #flushes = 0;
  #ignored = 0; // flushes up to this number belong to an earlier call
  #gain = null;
  #on;
  #floor = 0; // offset at which the current item began: nothing before it is reported
  #item = null;
  #volume = 1;
  #timers = new Set();
  #wantedSink = "";
  #wave = new Float32Array(1_024);
  analyser = null;

  constructor(on) {
    this.#on = on;
  }

  /** Make the context inside the person's tap, before the first await. */
  prime() {
    this.#context ??= playoutContext();
    this.#context.resume().catch(() => {});
  }

  /** True when sound comes out; false when the browser blocks it until a tap. */
  async open() {
    this.prime();
    this.#ready ??= this.#build();
    await this.#ready;
    return resumed(this.#context);
  }

  async #build() {
    const context = this.#context;
    await context.audioWorklet.addModule(WORKLET);
    this.#node = new AudioWorkletNode(context, "playout", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#gain = new GainNode(context, { gain: this.#volume });
    this.analyser = new AnalyserNode(context, { fftSize: 1_024, smoothingTimeConstant: 0.6 });
    this.#node.connect(this.#gain).connect(this.analyser).connect(context.destination);
    this.#node.port.onmessage = ({ data }) => this.#hear(data);
    this.#applySink();
  }

  begin(item, offset) {
    this.#node?.port.postMessage({ begin: item, offset });
    if (item !== this.#item) [this.#item, this.#floor] = [item, offset];
  }

  /** `samples`: Int16Array; its buffer is given away. */
  play(samples) {
    this.#node?.port.postMessage({ frame: samples.buffer }, [samples.buffer]);
  }

  end(item) {
    this.#node?.port.postMessage({ end: item });
  }

  /** Silence now. `on.cleared` follows, with the item that was heard and how far. */
  flush() {
    this.#clearTimers();
    this.#node?.port.postMessage({ flush: ++this.#flushes });
  }

  set volume(value) {
    this.#volume = value;
    this.#gain?.gain.setTargetAtTime(value, this.#context.currentTime, 0.02);
  }

  get rateHz() {
    return this.#context?.sampleRate ?? 0;
  }

  /** How loud it is now: root mean square, 0 to 1. */
  get level() {
    if (!this.analyser) return 0;
    this.analyser.getFloatTimeDomainData(this.#wave);
    let sum = 0;
    for (const value of this.#wave) sum += value * value;
    return Math.sqrt(sum / this.#wave.length);
  }

  get canChooseOutput() {
    return typeof AudioContext !== "undefined" && "setSinkId" in AudioContext.prototype;
  }

  async setOutput(deviceId) {
    this.#wantedSink = deviceId;
    await this.#applySink();
  }

  async #applySink() {
    if (this.canChooseOutput && this.#context && this.#context.sinkId !== this.#wantedSink)
      await this.#context.setSinkId(this.#wantedSink).catch(() => {}); // gone: the system's choice goes on
  }

  #hear(data) {
    if (data.started !== undefined) {
      this.#on.started(data.started, heardAt(this.#context, data.at));
      this.#tell(data.started, data.samples, data.buffered);
    } else if (data.position !== undefined) this.#tell(data.position, data.samples, data.buffered);
    else if (data.flushed !== undefined) {
      if (data.flush > this.#ignored) this.#on.cleared({ item: data.flushed, samples: this.#heard(data.flushed, data.samples) });
    } else if (data.underruns) this.#on.underrun();
    else if (data.drained !== undefined) this.#later(() => {
      // Its last sample left the worklet; it is heard when the output's latency has passed.
      this.#on.position({ item: data.drained, samples: data.samples, bufferedMs: msOf(data.buffered) });
      this.#on.stopped(data.drained);
    });
  }

  #heard(item, samples) {
    return Math.max(item === this.#item ? Math.min(this.#floor, samples) : 0, samples - Math.round(outputLatency(this.#context) * RATE_HZ));
  }

  #tell(item, samples, buffered) {
    this.#on.position({ item, samples: this.#heard(item, samples), bufferedMs: msOf(buffered) });
  }

  #later(then) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, outputLatency(this.#context) * 1_000);
    this.#timers.add(timer);
  }

  #clearTimers() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Silence, and nothing more is told of this call. The context and its nodes stay, suspended, for the next one. */
  async stop() {
    this.flush();
    this.#ignored = this.#flushes;
    this.#item = null;
    await this.#context?.suspend();
  }
}
