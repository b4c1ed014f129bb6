// The speaker: received PCM16 to sound, and the truth of how much of each item was played. Knows nothing of the socket.

import { resumed, stopWorklet } from "./microphone.js";
import { RATE_HZ, msOf } from "./pcm.js";

const WORKLET = new URL("./worklets/playout.js", import.meta.url);

/**
 * A context of its own at the device's rate: in Firefox the echo of a 24 kHz context is not cancelled.
 * `on`: `position({item, samples, bufferedMs})`, `started(item)`, `stopped(item)`, `cleared({item, samples})`.
 * Positions are what was *heard*: played samples less the output's latency.
 */
export class Speaker {
  #context = null;
  #module = null; // promise of the worklet's code, once per context
  #ready = null; // promise of the worklet's node
  #node = null;
  #gain = null;
  #on;
  #floor = 0; // offset at which the current item began: nothing before it is reported
  #item = null;
  #volume = 1;
  #timers = new Set();
  #wantedSink = "";
  analyser = null;

  constructor(on) {
    this.#on = on;
  }

  /** Make the context inside the person's tap, before the first await. */
  prime() {
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
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
    this.#module ??= context.audioWorklet.addModule(WORKLET);
    await this.#module;
    this.#connect(context);
  }

  #connect(context) {
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
    this.#node?.port.postMessage({ flush: true });
  }

  set volume(value) {
    this.#volume = value;
    this.#gain?.gain.setTargetAtTime(value, this.#context.currentTime, 0.02);
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

  get #latencySamples() {
    return Math.round((this.#context?.outputLatency || 0) * RATE_HZ);
  }

  #hear(data) {
    if (data.started !== undefined) {
      this.#tell(data.started, data.samples, data.buffered);
      this.#on.started(data.started);
    } else if (data.position !== undefined) this.#tell(data.position, data.samples, data.buffered);
    else if (data.flushed !== undefined) {
      this.#on.cleared({ item: data.flushed, samples: this.#heard(data.flushed, data.samples) });
    } else if (data.drained !== undefined) this.#later(() => {
      // Its last sample left the worklet; it is heard when the output's latency has passed.
      this.#on.position({ item: data.drained, samples: data.samples, bufferedMs: msOf(data.buffered) });
      this.#on.stopped(data.drained);
    });
  }

  #heard(item, samples) {
    return Math.max(item === this.#item ? Math.min(this.#floor, samples) : 0, samples - this.#latencySamples);
  }

  #tell(item, samples, buffered) {
    this.#on.position({ item, samples: this.#heard(item, samples), bufferedMs: msOf(buffered) });
  }

  #later(then) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, (this.#context.outputLatency || 0) * 1_000);
    this.#timers.add(timer);
  }

  #clearTimers() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Let go of every node. The context stays, suspended, for the next call. */
  async stop() {
    this.#clearTimers();
    if (!this.#ready) return;
    await this.#ready.catch(() => {});
    const [node, gain, analyser] = [this.#node, this.#gain, this.analyser];
    this.#node = this.#gain = this.analyser = this.#item = this.#ready = null;
    if (node) await stopWorklet(node);
    gain?.disconnect();
    analyser?.disconnect();
    if (!this.#ready) await this.#context.suspend();
  }
}
