// What is known of a call's connection, turns and sound, as numbers and names. Holds no text of anybody's. Pure: time is an argument.

const MOST = 200; // of each kind: an hour's call does not grow

/** The value that `share` (0 to 1) of the numbers are not above; null when there are none. */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.length ? sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] : null;
}

const remember = (list, one) => void (list.push(one) > MOST && list.shift());

export class Facts {
  config = null;
  sessionId = "";
  usage = null;
  turns = []; // {answerMs, soundMs, heardMs}: since the person had finished, each at its first sign
  trips = []; // ms there and back
  events = []; // {at, type}: names only
  bufferedMs = 0;
  droppedMs = 0;
  underruns = 0;
  #turn = null;

  /** A message of the relay. */
  take({ type, ...message }, now) {
    remember(this.events, { at: now, type });
    if (type === "ready") [this.config, this.sessionId] = [message.config, message.session_id];
    else if (type === "usage") this.usage = message;
    else if (type === "uplink.ack") this.droppedMs = message.dropped_ms;
    else if (type === "speech.stopped") this.#turn = { at: now };
    else if (type === "response.started") this.#mark("answerMs", now);
    else if (type === "audio.begin") this.#mark("soundMs", now);
  }

  #mark(name, now) {
    if (this.#turn) this.#turn[name] ??= now - this.#turn.at;
  }

  /** Sound is heard: the turn is answered. */
  heard(now) {
    if (this.#turn?.soundMs === undefined) return;
    const { answerMs = null, soundMs, at } = this.#turn;
    remember(this.turns, { answerMs, soundMs, heardMs: now - at });
    this.#turn = null;
  }

  roundTrip(ms) {
    remember(this.trips, ms);
  }

  /** {medianMs, jitterMs}: how long a message takes there and back, and how far most trips are from that; null before the first. */
  get trip() {
    const medianMs = percentile(this.trips, 0.5);
    if (medianMs === null) return null;
    return { medianMs, jitterMs: percentile(this.trips.map((ms) => Math.abs(ms - medianMs)), 0.9) };
  }
}
