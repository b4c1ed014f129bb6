// Runs before the page's own code: a microphone that hears nothing but the page's own loudspeaker, 12 dB below and 60 ms late,
// in a browser that removes no echo. Test code.
(() => {
  const connect = AudioNode.prototype.connect;
  const QUIETER = 10 ** (-12 / 20);
  const loudspeakers = [];
  let air = null;

  const listen = (node) => {
    const outlet = node.context.createMediaStreamDestination();
    connect.call(node, outlet);
    const heard = air.context.createMediaStreamSource(outlet.stream);
    connect.call(heard, air.entry);
  };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      loudspeakers.push(this);
      if (air) listen(this);
    }
    return connect.call(this, target, ...rest);
  };
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const entry = new GainNode(context, { gain: QUIETER });
    const delay = new DelayNode(context, { delayTime: 0.06 });
    const microphone = context.createMediaStreamDestination();
    connect.call(entry, delay);
    connect.call(delay, microphone);
    air = { context, entry };
    loudspeakers.forEach(listen);
    await context.resume();
    const [track] = microphone.stream.getAudioTracks();
    track.getSettings = () => ({ echoCancellation: false });
    return microphone.stream;
  };
})();
