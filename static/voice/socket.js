// One session with the relay over as many connections as it takes: mint, open, hello, heartbeat, come back. No audio, no DOM.

import { RelayClock } from "./clock.js";
import { MOST_TRIES, problemOf, verdict, waitBefore } from "./retry.js";

const PING_MS = 5_000;
const SILENCE_MS = 10_000; // after this a connection counts as lost, whatever the socket says
const OPEN_MS = 10_000;
const END_MS = 2_000; // for the relay to say how the session was
const STEADY_MS = 5_000; // a connection shorter than this does not start the count of tries anew

const quietly = () => {};

/**
 * `mint(resumeSessionId)` resolves to the mint's answer or rejects with an error that has `code`, `status` (0: no answer) and `retryAfterMs`.
 * `on`: `minted(answer)`, `opened()`, `ready(message)`, `message(object)`, `audio(ArrayBuffer)`, `trip(ms there and back)`,
 * `lost({attempt, of, waitMs})`, `over({code, reason, message, retryAfterMs, summary})` once at the end: `reason` is "over" or "stop", see retry.js.
 * `hello()` gives the fields of the first message.
 */
export class RelayLink {
  #mint;
  #on;
  #hello;
  #socket = null;
  #turn = 0; // grows with each try: what an older try still has to say is not heard
  #sessionId = null;
  #ready = false;
  #attempt = 0;
  #lostAt = null;
  #lastError = null;
  #ended = null; // the relay's last message
  #endTimer = null;
  #pingTimer = null;
  #waitTimer = null;
  #openTimer = null;
  #heardAt = 0;
  #readyAt = null;
  #closed = true;
  clock = new RelayClock();

  constructor({ mint, hello, on }) {
    this.#mint = mint;
    this.#hello = hello;
    this.#on = { minted: quietly, opened: quietly, audio: quietly, trip: quietly, lost: quietly, ...on };
  }

  get isOpen() {
    return !this.#closed && this.#endTimer === null;
  }

  get isReady() {
    return this.#ready;
  }

  // A socket that was cut is closing for a moment before it says so.
  get #isUsable() {
    return this.#ready && this.#socket.readyState === WebSocket.OPEN;
  }

  get waitingBytes() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** `resume`: the id of a session to go on with, as after a reload; null begins a new one. */
  open(resume = null) {
    this.#drop();
    this.#closed = false;
    this.#sessionId = resume;
    this.#ended = this.#lastError = this.#lostAt = this.#readyAt = null;
    this.#attempt = 0;
    this.#connect();
  }

  /** True when it went out; false while there is no connection. */
  send(message) {
    if (!this.#isUsable) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  sendAudio(samples) {
    if (this.#isUsable && samples.length) this.#socket.send(samples);
  }

  /** The person ends it. The relay may still tell how the session was; nothing else is heard. */
  close() {
    if (this.#closed || this.#endTimer !== null) return;
    if (this.send({ type: "session.end" })) this.#endTimer = setTimeout(() => this.#finish(), END_MS);
    else this.#finish();
  }

  /** Another call begins: what the last session still has to say of its end is not heard. */
  forget() {
    this.#finish();
  }

  /** Try at once, as when the network is back. */
  hurry() {
    if (this.#waitTimer !== null) this.#connect();
  }

  async #connect() {
    const turn = ++this.#turn;
    this.#drop();
    let answer;
    try {
      answer = await this.#mint(this.#sessionId);
    } catch (error) {
      if (turn === this.#turn) this.#refused(error);
      return;
    }
    if (turn !== this.#turn) return;
    this.#sessionId = answer.session_id;
    this.#on.minted(answer);
    this.#openSocket(turn, answer);
  }

  #openSocket(turn, { url, protocol, token }) {
    const socket = new WebSocket(url, [protocol, `t.${token}`]);
    const current = () => turn === this.#turn;
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#openTimer = setTimeout(() => current() && this.#retry(), OPEN_MS);
    socket.onopen = () => {
      if (!current()) return;
      this.#on.opened();
      socket.send(JSON.stringify({ type: "hello", ...this.#hello() }));
    };
    socket.onmessage = ({ data }) => current() && this.#receive(data);
    socket.onclose = ({ code }) => current() && this.#close(code);
  }

  #receive(data) {
    this.#heardAt = performance.now();
    if (typeof data !== "string") return this.#endTimer === null && this.#on.audio(data);
    const message = JSON.parse(data);
    if (message.type === "error") this.#lastError = message;
    if (message.type === "pong") {
      this.clock.answered(message, this.#heardAt);
      this.#on.trip(this.#heardAt - message.t);
      if (this.clock.isNew) this.#ping();
    } else if (message.type === "ready") this.#becomeReady(message);
    else if (message.type === "ended") {
      this.#ended = message;
      this.#endTimer ??= setTimeout(() => this.#close(1000), END_MS); // should the close not come
    } else if (this.#endTimer === null || message.type.startsWith("transcript") || message.type === "message.saved") this.#on.message(message);
  }

  #becomeReady(message) {
    clearTimeout(this.#openTimer);
    this.#ready = true;
    this.#lastError = null;
    this.#readyAt = performance.now();
    this.clock.forget();
    this.#ping();
    this.#pingTimer = setInterval(() => this.#beat(), PING_MS);
    this.#on.ready(message);
  }

  #beat() {
    // An open socket does not notice a dead network: silence does.
    if (performance.now() - this.#heardAt > SILENCE_MS) this.#retry();
    else this.#ping();
  }

  #ping() {
    this.send({ type: "ping", t: performance.now(), rtt_ms: this.clock.rttMs ?? undefined });
  }

  #close(code) {
    const [error, ended] = [this.#lastError, this.#ended];
    const retryAfterMs = error?.retry_after != null ? error.retry_after * 1_000 : null;
    const what = verdict(code, error?.retryable ? retryAfterMs : null, ended !== null);
    const asked = ended?.reason === "person_ended";
    if (what === "again" && !asked) return this.#retry(retryAfterMs);
    const name = what === "over" || asked ? (ended?.reason ?? problemOf(code)) : (error?.code ?? problemOf(code, ended?.reason));
    this.#finish({ code: name, reason: asked ? "over" : what, message: error?.message, retryAfterMs, summary: ended?.summary });
  }

  #refused(error) {
    const waits = error.status === 0 || error.status >= 500 || error.status === 429;
    const mayWait = waits && (this.#lostAt !== null || error.status === 0);
    if (mayWait) this.#retry(error.retryAfterMs, error);
    else this.#finish({ code: error.code, reason: "stop", message: error.message, retryAfterMs: error.retryAfterMs });
  }

  #retry(retryAfterMs = null, error = null) {
    const now = performance.now();
    this.#turn++;
    this.#drop();
    if (this.#readyAt !== null && now - this.#readyAt > STEADY_MS) [this.#attempt, this.#lostAt] = [0, null];
    this.#readyAt = null;
    this.#lostAt ??= now;
    const attempt = ++this.#attempt;
    const waitMs = waitBefore({ attempt, elapsedMs: now - this.#lostAt, chance: Math.random(), retryAfterMs });
    const why = error ?? this.#lastError;
    if (waitMs === null) return this.#finish({ code: why?.code ?? "net.lost", reason: "stop", message: why?.message, retryAfterMs: null });
    this.#on.lost({ attempt, of: MOST_TRIES, waitMs });
    this.#waitTimer = setTimeout(() => this.#connect(), waitMs);
  }

  /** Let go of the socket and of every timer. */
  #drop() {
    clearInterval(this.#pingTimer);
    clearTimeout(this.#waitTimer);
    clearTimeout(this.#openTimer);
    clearTimeout(this.#endTimer);
    this.#pingTimer = this.#waitTimer = this.#openTimer = this.#endTimer = null;
    this.#ready = false;
    this.#socket?.close();
    this.#socket = null;
  }

  #finish(how = null) {
    if (this.#closed) return;
    this.#closed = true;
    this.#turn++;
    this.#drop();
    if (how) this.#on.over(how);
  }
}
