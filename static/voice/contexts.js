// The page's sound contexts. They are made inside a person's tap, before anything else of a call: only there may a page make sound.

const RATE_HZ = 24_000;
let playout = null; // kept for the page
let capture = null; // made in the tap, until a microphone takes it

export const canCapture = () => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

const wake = (context) => void context.resume().catch(() => {});

/** A context for a microphone; `rateHz` null, or refused: the device's own rate. */
export function makeCapture(rateHz = RATE_HZ) {
  try {
    return new AudioContext(rateHz ? { sampleRate: rateHz, latencyHint: "interactive" } : {});
  } catch {
    return new AudioContext();
  }
}

/** Capture and playout have a context each, at rates of their own: in Firefox the echo of a 24 kHz context is not cancelled. */
export function primeContexts() {
  wake(playoutContext());
  if (!canCapture()) return;
  capture ??= makeCapture();
  wake(capture);
}

export function playoutContext() {
  playout ??= new AudioContext({ latencyHint: "interactive" });
  return playout;
}

/** The context of the tap, once; after that a new one. */
export function takeCapture() {
  const taken = capture ?? makeCapture();
  capture = null;
  return taken;
}
