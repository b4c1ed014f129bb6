// Runs before the page's own code and measures it from outside: a microphone that says what the bench hands it, moments of
// loud and silent at microphone and loudspeaker, messages of the relay. All moments are ms of the wall clock (Date.now).
(() => {
  const LOUD = { microphone: 0.02, loudspeaker: 0.003 }; // peak of full scale
  const PAUSE_MS = 120; // silence shorter than this lies within speech
  const marks = (window.__marks = []); // {what, at}, in order
  const note = (what, at = Date.now()) => marks.push({ what, at });
  const connect = AudioNode.prototype.connect;
  const code = `registerProcessor("bench-tap", class extends AudioWorkletProcessor {
    constructor({ processorOptions }) { super(); this.o = processorOptions; this.loud = 0; this.since = 0; }
    process([input]) {
      const now = Date.now();
      let peak = 0;
      for (const value of input[0] ?? []) peak = Math.max(peak, Math.abs(value));
      if (peak > this.o.level) {
        if (!this.since) this.port.postMessage({ kind: "begins", at: (this.since = now) });
        this.loud = now;
      } else if (this.since && now - this.loud > this.o.pauseMs) {
        this.since = 0;
        this.port.postMessage({ kind: "falls silent", at: this.loud });
      }
      return true;
    }
  });`;

  async function listenIn(source, name) {
    await source.context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const tap = new AudioWorkletNode(source.context, "bench-tap", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
      processorOptions: { level: LOUD[name], pauseMs: PAUSE_MS },
    });
    tap.port.onmessage = ({ data }) => note(`${name} ${data.kind}`, data.at);
    connect.call(source, tap);
  }

  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      window.__outputLatency = () => (this.context.outputLatency || 0) * 1000;
      listenIn(this, "loudspeaker");
    }
    return connect.call(this, target, ...rest);
  };

  const source = AudioContext.prototype.createMediaStreamSource;
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const node = source.call(this, stream);
    listenIn(node, "microphone");
    return node;
  };

  // A microphone of our own: silence until `__say` plays a WAV (base64) into it.
  let room = null;
  window.__ownMicrophone = () => {
    navigator.mediaDevices.getUserMedia = async () => {
      room?.context.close();
      const context = new AudioContext({ sampleRate: 48_000 });
      const outlet = context.createMediaStreamDestination();
      connect.call(new ConstantSourceNode(context, { offset: 0 }), outlet);
      room = { context, outlet };
      await context.resume();
      return outlet.stream;
    };
  };
  window.__say = async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const speech = new AudioBufferSourceNode(room.context, { buffer: await room.context.decodeAudioData(bytes.buffer) });
    connect.call(speech, room.outlet);
    speech.start();
  };

  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => note(typeof data === "string" ? `page: ${JSON.parse(data).type}` : "page: audio"));
    }
  };
  addEventListener("DOMContentLoaded", () => {
    const panel = document.getElementById("voice-panel");
    if (panel) new MutationObserver(() => note(`panel: ${panel.dataset.state}`)).observe(panel, { attributeFilter: ["data-state"] });
    addEventListener("click", (event) => event.target.closest("#voice-button") && note("press"), true);
  });
})();
