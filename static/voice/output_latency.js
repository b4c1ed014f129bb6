// How long played sound is on its way from a context to the ear. The only reader of what a browser says about it.

// Firefox (seen in 153 with PulseAudio) may stand still for ever, with all its tabs, when it is asked while sound runs: the
// page waits for the audio thread, which waits for the page. So it is not asked; 30 to 75 ms were measured there.
const mayAsk = () => !navigator.userAgent.includes("Gecko/");
const UNASKED_SEC = 0.05;

/** In seconds; 0 where the browser does not say. */
export function outputLatency(context) {
  if (!mayAsk()) return UNASKED_SEC;
  return context?.outputLatency || 0;
}

/** When a moment of the context's time (seconds) is heard, in ms of the page's clock. */
export function heardAt(context, time) {
  const guess = performance.now() + (time - context.currentTime + outputLatency(context)) * 1_000;
  if (!mayAsk() || !context.getOutputTimestamp) return guess;
  const { contextTime, performanceTime } = context.getOutputTimestamp();
  const exact = performanceTime + (time - contextTime) * 1_000;
  return performanceTime && Math.abs(exact - guess) < 1_000 ? exact : guess;
}
