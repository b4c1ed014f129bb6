// What is known of a call's connection, turns and sound, as numbers and names. Holds no text of anybody's. Pure: time is an argument.

const MOST = 200; // of each kind: an hour's call does not grow

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
}
