// Holds the assistant's own voice back from the microphone where the browser does not, or not yet, remove it. No audio nodes.

const LEARN_MS = 2_000; // of sound: so long a browser's echo canceller takes to know the room
const TAIL_MS = 400; // output latency, the room, input latency: so late an echo may come
const ECHO = 0.5; // an echo is at most this much of what was played; who talks over the assistant is louder
const AUDIBLE = 0.003;

/**
 * Levels are 0 to 1. A person who speaks clearly over the answer passes; softer than half the answer's level counts as echo,
 * for the first seconds of sound, or all the time where the browser says that it cancels nothing.
 */
export class EchoGuard {
  #played = []; // {at, level} of the last TAIL_MS
  #soundedMs = 0;
  #last = null;

  /** Whether what the microphone heard in the frame that ends at `now` (ms) is to be taken for echo. */
  isEcho(microphone, loudspeaker, cancelled, now) {
    const sinceMs = this.#last === null ? 0 : now - this.#last;
    this.#last = now;
    if (loudspeaker > AUDIBLE) this.#soundedMs += Math.min(sinceMs, TAIL_MS);
    this.#played.push({ at: now, level: loudspeaker });
    while (now - this.#played[0].at > TAIL_MS) this.#played.shift();
    if (cancelled !== false && this.#soundedMs > LEARN_MS) return false;
    const loudest = Math.max(...this.#played.map((one) => one.level));
    return loudest > AUDIBLE && microphone < loudest * ECHO;
  }
}
