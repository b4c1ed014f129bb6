// The microphone from permission to Int16 frames of 24 kHz. Acquires tracks and a capture context, and lets both go.

import { FRAME_SAMPLES, RATE_HZ } from "./pcm.js";

const WORKLET = new URL("./worklets/capture.js", import.meta.url);
const RESUME_MS = 2_000;
const STOP_MS = 300;
const SETTLE_MS = 50; // between disconnecting a worklet and anything that ends its context

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** `code` is one of the panel's microphone problems. */
export class MicrophoneError extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const CODES = { NotAllowedError: "mic.denied", SecurityError: "mic.denied", NotFoundError: "mic.missing", OverconstrainedError: "mic.missing",
  NotReadableError: "mic.busy", AbortError: "mic.busy" };

/** Resume a context, but never wait for ever: without an output device some browsers never answer. True when it runs. */
export async function resumed(context) {
  if (context.state !== "running") await Promise.race([context.resume().catch(() => {}), pause(RESUME_MS)]);
  return context.state === "running";
}

export class Microphone extends EventTarget {
  #context = null; // kept for the page: a closed context with a worklet is never freed
  #moduleOf = null; // the context that has the worklet module
  #stream = null;
  #source = null;
  #node = null;
  #onFrame;
  #generation = 0;
  analyser = null;

  /** `onFrame(Int16Array)` gets 40 ms at a time. Fires "lost" when the device went away. */
  constructor(onFrame) {
    super();
    this.#onFrame = onFrame;
  }

  /** Whether the browser removes the echo of its own sound; null when unknown. */
  get cancelsEcho() {
    return this.#stream?.getAudioTracks()[0]?.getSettings().echoCancellation ?? null;
  }

  /** Make the context inside the person's tap, before the first await. */
  prime() {
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) return;
    this.#context ??= this.#makeContext(RATE_HZ);
    this.#context.resume().catch(() => {});
  }

  #makeContext(rateHz) {
    try {
      return new AudioContext(rateHz ? { sampleRate: rateHz, latencyHint: "interactive" } : {});
    } catch {
      return new AudioContext();
    }
  }

  /** Throws MicrophoneError. `deviceId` "" means the system's choice. */
  async open(deviceId = "") {
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new MicrophoneError("mic.unsupported");
    const generation = ++this.#generation;
    await this.#release();
    const stream = await this.#ask(deviceId);
    if (generation !== this.#generation) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.#stream = stream;
    stream.getAudioTracks()[0].addEventListener("ended", () => this.#stream === stream && this.dispatchEvent(new Event("lost")));
    this.prime();
    try {
      await this.#connect();
    } catch (error) {
      if (error.name !== "NotSupportedError" || generation !== this.#generation) throw error;
      // Some browsers refuse a microphone in a context of another rate: take theirs, the worklet resamples.
      this.#context.close();
      this.#context = this.#makeContext(null);
      await this.#connect();
    }
    if (!(await resumed(this.#context))) throw new MicrophoneError("audio.blocked");
  }

  async #ask(deviceId) {
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (deviceId) audio.deviceId = { exact: deviceId };
    try {
      return await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      if (deviceId && error.name === "OverconstrainedError") return this.#ask(""); // the remembered one is gone
      throw new MicrophoneError(CODES[error.name] ?? "mic.unsupported");
    }
  }

  async #connect() {
    const context = this.#context;
    if (this.#moduleOf !== context) {
      await context.audioWorklet.addModule(WORKLET);
      this.#moduleOf = context;
    }
    if (!this.#stream) return; // stopped meanwhile
    this.#source = context.createMediaStreamSource(this.#stream);
    this.#node = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions: { frameSamples: FRAME_SAMPLES },
    });
    const node = this.#node;
    node.port.onmessage = ({ data }) => data.frame && node === this.#node && this.#onFrame(new Int16Array(data.frame));
    this.analyser = new AnalyserNode(context, { fftSize: 1_024, smoothingTimeConstant: 0.6 });
    this.#source.connect(node);
    this.#source.connect(this.analyser);
  }

  /** Let go of the device and of every node. The context stays, suspended. */
  async stop() {
    this.#generation++;
    await this.#release();
    if (!this.#stream && this.#context?.state === "running") await this.#context.suspend();
  }

  async #release() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    const [source, node, analyser] = [this.#source, this.#node, this.analyser];
    this.#stream = this.#source = this.#node = this.analyser = null;
    if (node) await stopWorklet(node);
    source?.disconnect();
    analyser?.disconnect();
    if (node) await pause(SETTLE_MS);
  }
}

/** Ask a worklet to end and wait for its answer: a processor that still runs keeps its context alive for good. */
export async function stopWorklet(node) {
  const answered = new Promise((done) => {
    node.port.onmessage = ({ data }) => data.stopped && done();
  });
  node.port.postMessage("stop");
  await Promise.race([answered, pause(STOP_MS)]);
  node.port.onmessage = null;
  node.disconnect();
}
