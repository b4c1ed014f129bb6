// A worklet's global scope, as far as our worklets use it: enough to run a processor quantum by quantum, without a browser.

const QUANTUM = 128;

class Port {
  posted = [];
  onmessage = null;
  postMessage(data) {
    this.posted.push(data);
  }
}

const loaded = new Map(); // a module registers once per context, as in a browser

async function load(name, rateHz) {
  let registered;
  globalThis.sampleRate = rateHz;
  globalThis.AudioWorkletProcessor = class {
    port = new Port();
  };
  globalThis.registerProcessor = (_name, made) => (registered = made);
  await import(`../../static/voice/worklets/${name}.js?rate=${rateHz}`);
  return registered;
}

/** A running processor: `say` posts to it, `run` gives it quanta and returns what it put out. */
export async function start(name, rateHz, options) {
  const key = `${name}@${rateHz}`;
  if (!loaded.has(key)) loaded.set(key, await load(name, rateHz));
  globalThis.sampleRate = rateHz;
  const processor = new (loaded.get(key))(options);
  let frames = 0;
  globalThis.currentTime = 0;
  const take = () => processor.port.posted.splice(0);
  return {
    say: (data) => processor.port.onmessage({ data }),
    take,
    /** Runs `quanta` quanta; `input(index)` gives each one's Float32Array or undefined. */
    run(quanta, input = () => undefined) {
      const out = [];
      let goesOn = true;
      for (let k = 0; k < quanta && goesOn; k++) {
        const channel = new Float32Array(QUANTUM);
        globalThis.currentTime = (frames += QUANTUM) / rateHz;
        goesOn = processor.process([[input(k)].filter(Boolean)], [[channel]]);
        out.push(...channel);
      }
      return { out, goesOn };
    },
  };
}

/** `count` samples of a tone as Int16, at half of full scale. */
export function tone(count, hz = 440, rateHz = 24_000) {
  return Int16Array.from({ length: count }, (_, k) => Math.round(16_384 * Math.sin((2 * Math.PI * hz * k) / rateHz)));
}

/** A frame of `count` samples that all are `value`. */
export const flat = (count, value = 8_192) => ({ frame: new Int16Array(count).fill(value).buffer });
