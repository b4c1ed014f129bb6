// Runs before the page's own code: listens in on whatever the page connects to a loudspeaker, and lets the test read it.
// The page is not changed by it. Its worklet comes from the page's own origin, so the page's policy stays in force.
(() => {
  const taps = [];
  const sounds = [];
  const connect = AudioNode.prototype.connect;

  async function listenIn(source, tap) {
    await source.context.audioWorklet.addModule("/__tap_worklet.js");
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

  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const tap = { rateHz: this.context.sampleRate, blocks: [], problem: null };
      taps.push(tap);
      listenIn(this, tap).catch((error) => { tap.problem = String(error); });
    }
    return connect.call(this, target, ...rest);
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
