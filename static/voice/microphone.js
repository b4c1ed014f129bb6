// The microphone from permission to Int16 frames of 24 kHz. Acquires tracks and a capture context, and lets both go.

import { canCapture, makeCapture, takeCapture } from "./contexts.js";
import { FRAME_SAMPLES } from "./pcm.js";

const WORKLET = new URL("./worklets/capture.js", import.meta.url);
const RESUME_MS = 2_000;
const STOP_MS = 300;
const SETTLE_MS = 50; // between disconnecting and closing: Chromium keeps a context for ever without it

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
  #context = null; // of one call: a context that goes on keeps something of every microphone it ever had
  #node = null;
  #loading = null; // promise of the worklet in #context
  #stream = null;
  #source = null;
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
    if (!canCapture()) return;
    this.#context ??= takeCapture();
    this.#context.resume().catch(() => {});
  }

  /** True when frames come; false when it was stopped or opened anew meanwhile. Throws MicrophoneError. `deviceId` "": the system's choice. */
  async open(deviceId = "") {
    if (!canCapture()) throw new MicrophoneError("mic.unsupported");
    const generation = ++this.#generation;
    this.#release();
    this.prime();
    this.#load().catch(() => {}); // while the device opens; who waits for it learns of a failure
    const stream = await this.#ask(deviceId);
    if (generation !== this.#generation) {
      for (const track of stream.getTracks()) track.stop();
      return false;
    }
    this.#stream = stream;
    stream.getAudioTracks()[0].onended = () => this.dispatchEvent(new Event("lost"));
    try {
      await this.#connect();
    } catch (error) {
      if (error.name !== "NotSupportedError" || generation !== this.#generation) throw error;
      // Some browsers refuse a microphone in a context of another rate: take theirs, the worklet resamples.
      this.#context.close();
      this.#context = makeCapture(null);
      this.#loading = null;
      await this.#connect();
    }
    if (generation !== this.#generation) return false;
    if (!(await resumed(this.#context))) throw new MicrophoneError("audio.blocked");
    return generation === this.#generation;
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
    const source = context.createMediaStreamSource(this.#stream); // first: what a browser refuses, it refuses here
    if (!this.#node) {
      await this.#load();
      if (context !== this.#context) return; // stopped meanwhile
      this.#node ??= this.#makeNode(context);
    }
    this.#source = source;
    source.connect(this.#node);
    source.connect(this.analyser);
  }

  #load() {
    this.#loading ??= this.#context.audioWorklet.addModule(WORKLET);
    return this.#loading;
  }

  #makeNode(context) {
    const node = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions: { frameSamples: FRAME_SAMPLES },
    });
    this.analyser = new AnalyserNode(context, { fftSize: 1_024, smoothingTimeConstant: 0.6 });
    node.port.onmessage = ({ data }) => this.#stream && this.#onFrame(new Int16Array(data.frame));
    return node;
  }

  /** Let go of the device at once, then of everything that belonged to it. */
  async stop() {
    this.#generation++;
    const [context, node, analyser] = [this.#context, this.#node, this.analyser];
    this.#context = this.#node = this.#loading = this.analyser = null;
    this.#release();
    if (!context) return;
    if (node) await stopWorklet(node);
    analyser?.disconnect();
    await pause(SETTLE_MS);
    await context.close();
  }

  #release() {
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null; // an ended track stays for seconds, and so would who listens to it
      track.stop();
    }
    this.#source?.disconnect();
    this.#stream = this.#source = null;
  }
}

/** Ask a worklet to end and wait for its answer: one that still runs keeps its context alive. */
async function stopWorklet(node) {
  const answered = new Promise((done) => {
    node.port.onmessage = ({ data }) => data.stopped && done();
  });
  node.port.postMessage("stop");
  await Promise.race([answered, pause(STOP_MS)]);
  node.port.onmessage = null;
  node.disconnect();
}
