// Runs before the page's own code: listens in on whatever the page connects to a loudspeaker, and lets the test read it.
// And counts what comes from its microphone, for the report of a test that fails.
// The page is not changed by it, but that its microphone opens when its worklets are there: a fake microphone plays its file from
// that moment on, and a busy machine may need longer for the worklets than the question lasts. Who listens late hears silence.
// Its own worklet comes from the page's origin, so the page's policy stays in force.
(() => {
  if (!isSecureContext) return; // a tab that is empty yet: no microphone, no worklets
  const taps = [];
  const sounds = [];
  const connect = AudioNode.prototype.connect;
  const addModule = AudioWorklet.prototype.addModule;
  const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const loading = [];
  let microphone = null; // the newest: it must be free to go

  async function listenIn(source, tap) {
    await addModule.call(source.context.audioWorklet, "/__tap_worklet.js");
    const recorder = new AudioWorkletNode(source.context, "test-tap", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
    });
    recorder.port.onmessage = ({ data }) => {
      if (data.soundAt === undefined) return tap.blocks.push(data);
      const { contextTime, performanceTime } = source.context.getOutputTimestamp();
      sounds.push(performance.timeOrigin + performanceTime + (data.soundAt - contextTime) * 1000);
    };
    connect.call(source, recorder);
  }

  function countFrames(source, worklet) {
    const now = () => Math.round(performance.now());
    const counted = { source: new WeakRef(source), connectedAt: now(), firstFrameAt: null, firstSoundAt: null, frames: 0, loudest: 0 };
    microphone = counted;
    worklet.port.addEventListener("message", ({ data }) => {
      if (!data.frame?.byteLength) return; // the page has handed it on
      counted.frames++;
      counted.firstFrameAt ??= now();
      counted.loudest = new Int16Array(data.frame).reduce((most, value) => Math.max(most, Math.abs(value)), counted.loudest);
      if (counted.loudest > 1_000) counted.firstSoundAt ??= now();
    });
  }

  AudioWorklet.prototype.addModule = function (...what) {
    const loaded = addModule.apply(this, what);
    loading.push(loaded);
    return loaded;
  };

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await Promise.allSettled(loading.splice(0));
    return getUserMedia(wanted);
  };

  AudioNode.prototype.connect = function (target, ...rest) {
    if (this instanceof MediaStreamAudioSourceNode && target instanceof AudioWorkletNode) countFrames(this, target);
    if (target instanceof AudioDestinationNode) {
      const tap = { rateHz: this.context.sampleRate, blocks: [], problem: null };
      taps.push(tap);
      listenIn(this, tap).catch((error) => { tap.problem = String(error); });
    }
    return connect.call(this, target, ...rest);
  };

  // What came from the newest microphone, after the page's own muting; times in ms since the page began. null: there was none.
  window.__microphone = () => {
    if (!microphone) return null;
    const { source, ...counted } = microphone;
    const [track] = source.deref()?.mediaStream.getAudioTracks() ?? [];
    return { ...counted, now: Math.round(performance.now()), context: source.deref()?.context.state, track: track?.readyState, muted: track?.muted };
  };

  // When silence turned into sound, each time: ms since 1970.
  window.__soundsBegan = () => sounds;

  // {rateHz, samples: PCM16 as base64, problem} of everything that was played so far.
  window.__heard = () => {
    const blocks = taps.flatMap((tap) => tap.blocks);
    const samples = new Int16Array(blocks.reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of blocks) for (const value of block) samples[at++] = Math.max(-1, Math.min(1, value)) * 32767;
    const bytes = new Uint8Array(samples.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return { rateHz: taps[0]?.rateHz ?? 0, samples: btoa(text), problem: taps.find((tap) => tap.problem)?.problem ?? null };
  };
})();
