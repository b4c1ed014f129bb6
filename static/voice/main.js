// A voice call: performs the effects of call.js on microphone, speaker and socket. No DOM; listeners get events.

import { initial, reduce } from "./call.js";
import { Downlink } from "./downlink.js";
import { EchoGuard } from "./echo_guard.js";
import { Facts } from "./facts.js";
import { Microphone } from "./microphone.js";
import { keepSession } from "./kept_session.js";
import { isBusy, isLive } from "./names.js";
import { level } from "./pcm.js";
import { RelayLink } from "./socket.js";
import { Speaker } from "./speaker.js";
import { Talk } from "./talk.js";
import { Uplink } from "./uplink.js";
import { WakeLock } from "./wake_lock.js";

const PLUG_IN_MS = 60_000; // after this a microphone that appears starts no call by itself
const SPOKEN = 0.02; // level above which a muted person is told so

/**
 * Fires, each with `detail`: "change" {state, previous}; "relay" (a message of the relay); "minted" (the mint's answer);
 * "step" {step} as the call is set up; "heard" {item, samples} as it is played; "spoken-muted" {}.
 */
export class VoiceCall extends EventTarget {
  state = initial;
  settings = { preset: "normal", numbers: null, microphone: "", speed: 1, interruptible: true };
  hushed = false; // the page makes a sound of its own: the microphone is silent meanwhile
  microphone = new Microphone((samples) => this.#capture(samples));
  speaker;
  facts = new Facts();
  #link;
  #uplink = null;
  #talk = null;
  #echo = new EchoGuard();
  #downlink = new Downlink();
  #wake = new WakeLock();
  #clears = []; // items whose `audio.clear` waits for the worklet's answer
  #played = null; // {item_id, samples} last heard
  #acked = 0;
  #owesInterrupt = false; // interrupted while the connection was away: the relay does not know yet
  #sessionId = null;
  #conversationId = null;
  #resume = null; // a session from before a reload
  #inputs = []; // ids of the microphones there are
  #timer = null;

  /**
   * `mint({modality, resume_session_id})` is RelayLink's.
   * `resume`: a session from before a reload, which `offerResume` and `start` take up; or null.
   */
  constructor({ mint, resume = null }) {
    super();
    this.#resume = resume;
    this.speaker = new Speaker({
      position: (at) => this.#position(at),
      started: (item, heardAt) => this.#started(item, heardAt),
      stopped: () => this.dispatch({ type: "playout.stopped" }),
      cleared: (at) => this.#cleared(at),
      underrun: () => this.facts.underruns++,
    });
    this.#link = new RelayLink({
      mint: (resume) => mint({ modality: "voice", resume_session_id: resume }),
      hello: () => ({ played: this.#played, received: this.#downlink.received, uplink_samples: this.#uplink.captured, client: {} }),
      on: {
        minted: (answer) => this.#minted(answer),
        opened: () => this.#step("socket"),
        ready: (message) => this.#ready(message),
        message: (message) => this.#receive(message),
        audio: (buffer) => this.#hear(buffer),
        trip: (ms) => this.facts.roundTrip(ms),
        lost: (how) => (this.#uplink?.detach(), this.dispatch({ type: "link.lost", ...how })),
        over: (how) => this.dispatch({ type: "link.over", ...how, summary: summaryOf(how.summary) }),
      },
    });
    this.microphone.addEventListener("lost", () => this.#changeMicrophone());
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#devicesChanged());
    addEventListener("online", () => this.#link.hurry());
    addEventListener("pagehide", () => {
      if (isLive(this.state)) keepSession(this.#sessionId, this.#conversationId);
      this.microphone.stop();
    });
    addEventListener("pageshow", ({ persisted }) => persisted && isBusy(this.state) && this.#openMicrophone(this.settings.microphone));
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && isLive(this.state) && this.prime());
  }

  /** Call it inside the person's tap: only there may a page make sound contexts run. */
  start() {
    if (isBusy(this.state)) return;
    this.prime();
    this.dispatch({ type: "start" });
  }

  offerResume() {
    if (this.#resume) this.dispatch({ type: "resumable" });
  }

  /** Wake the sound contexts, inside a tap. */
  prime() {
    this.microphone.prime();
    this.speaker.prime();
  }

  dispatch(event) {
    const previous = this.state;
    const { state, effects } = reduce(previous, event, performance.now());
    this.state = state;
    clearTimeout(this.#timer);
    if (state.deadlineAt !== null)
      this.#timer = setTimeout(() => this.dispatch({ type: "deadline" }), Math.max(0, state.deadlineAt - performance.now()));
    for (const effect of effects) this.#perform(effect);
    if (isLive(state) !== isLive(previous)) this.#wake.hold(isLive(state));
    if (state !== previous) this.#fire("change", { state, previous });
  }

  /** True when the text went into the running call. */
  sendText(text, clientId) {
    if (this.state.playing) this.dispatch({ type: "interrupt" }); // typing over an answer silences it
    return isLive(this.state) && this.#link.send({ type: "input.text", text, client_id: clientId });
  }

  configure(change) {
    Object.assign(this.settings, change);
    if ("preset" in change && (change.preset === "push_to_talk") !== this.state.talkMode)
      return this.dispatch({ type: "talk.mode", on: change.preset === "push_to_talk" });
    if ("preset" in change) this.#configureTurns();
    const { speed, interruptible } = change;
    if (speed !== undefined || interruptible !== undefined) this.#link.send({ type: "session.configure", speed, interruptible });
    if ("keep" in change) this.#link.send({ type: "session.configure", keep: change.keep });
    if ("microphone" in change && isBusy(this.state)) this.#openMicrophone(change.microphone);
  }

  /** Inside a tap: sound that the browser held back. */
  async enableSound() {
    this.prime();
    if (await this.speaker.open()) this.dispatch({ type: "sound.running" });
  }

  #perform(effect) {
    switch (effect.do) {
      case "open_microphone": return this.#setUp();
      case "connect": return this.#connect();
      case "send": return void this.#link.send(effect.message);
      case "configure_turns": return this.#configureTurns();
      case "begin_talk": return this.#talk?.begin();
      case "commit_talk": return this.#talk?.finish();
      case "interrupt": return this.#interrupt();
      case "hang_up": return this.#hangUp();
    }
  }

  #setUp() {
    this.#link.forget();
    this.#uplink = new Uplink({ send: (samples) => this.#link.sendAudio(samples), waitingBytes: () => this.#link.waitingBytes });
    this.#talk = new Talk(this.#uplink, () => this.#link.send({ type: "input.commit" }));
    this.#echo = new EchoGuard();
    this.#downlink.forget();
    this.facts = new Facts();
    this.#played = this.#sessionId = null;
    this.#acked = this.#clears.length = 0;
    this.#owesInterrupt = false;
    this.speaker.open().then((runs) => runs || this.dispatch({ type: "sound.blocked" }), () => this.dispatch({ type: "sound.blocked" }));
    this.#openMicrophone(this.settings.microphone);
  }

  #connect() {
    this.#link.open(this.#resume);
    this.#resume = null;
  }

  /** The microphone in use went away: the system's choice takes its place. */
  async #changeMicrophone() {
    if (!isBusy(this.state)) return;
    await this.#openMicrophone("");
    this.#notice("mic.changed");
  }

  /** Some browsers move to another microphone without a word; and one that was missing may have been plugged in. */
  async #devicesChanged() {
    const before = this.#inputs;
    const inputs = await this.#listInputs();
    const gone = before.some((id) => !inputs.includes(id));
    if (this.state.problem?.code === "mic.missing" && inputs.length && performance.now() - this.state.since < PLUG_IN_MS) this.start();
    else if (gone && this.settings.microphone && !inputs.includes(this.settings.microphone)) this.#changeMicrophone();
    else if (gone && isBusy(this.state)) this.#notice("mic.changed");
  }

  async #openMicrophone(deviceId) {
    navigator.permissions?.query({ name: "microphone" }).then(({ state }) => {
      if (state === "prompt") this.dispatch({ type: "mic.asking" });
      if (state === "granted") this.dispatch({ type: "mic.granted" });
    }, () => {});
    try {
      if (!(await this.microphone.open(deviceId))) return;
    } catch (error) {
      return this.dispatch({ type: "mic.failed", code: error.code ?? "mic.unsupported" });
    }
    if (!isBusy(this.state)) return this.microphone.stop(); // ended while the browser was asking
    this.#step("permission");
    this.#listInputs();
    this.dispatch({ type: "mic.ready" });
  }

  async #listInputs() {
    const found = (await navigator.mediaDevices.enumerateDevices?.().catch(() => [])) ?? [];
    this.#inputs = found.filter(({ kind }) => kind === "audioinput").map(({ deviceId }) => deviceId);
    return this.#inputs;
  }

  #capture(samples) {
    if (!this.#uplink) return;
    if (this.state.muted || this.hushed) {
      if (!this.hushed && level(samples) > SPOKEN) this.#fire("spoken-muted");
      samples.fill(0); // silence, not nothing: the sentence that was begun must come to its end
    } else if (this.#echo.isEcho(level(samples), this.speaker.level, this.microphone.cancelsEcho, performance.now())) samples.fill(0);
    if (this.state.talkMode) this.#talk.take(samples);
    else this.#uplink.push(samples);
    this.#uplink.pump(performance.now());
    if (this.#uplink.held !== this.state.slow) this.dispatch({ type: "link.slow", on: this.#uplink.held });
  }

  #minted(answer) {
    this.#step("token");
    if (this.#sessionId !== null && this.#sessionId !== answer.session_id) {
      // The session is gone: a new one begins with what the old one did not hear.
      this.#uplink.renumber(this.#acked);
      this.#downlink.forget();
      this.speaker.flush();
      this.#played = null;
    }
    this.#sessionId = answer.session_id;
    this.#conversationId = answer.conversation_id;
    this.#fire("minted", answer);
  }

  #ready(message) {
    this.facts.take(message, performance.now());
    this.#acked = message.uplink_samples;
    this.#uplink.attach(message.uplink_samples, performance.now());
    this.#reached(message.state);
    if (this.settings.preset !== "normal" || this.state.talkMode) this.#configureTurns();
    const { speed, interruptible } = this.settings;
    if (message.resumed || this.state.muted || speed !== 1 || !interruptible) this.#link.send({ type: "session.configure", muted: this.state.muted, speed, interruptible });
    if (this.#owesInterrupt) this.#owesInterrupt = !this.#link.send({ type: "interrupt" });
    const { max_session_ms: most, ends_in_ms: left } = message.limits;
    this.dispatch({ type: "link.ready", state: message.state, elapsedMs: message.resumed ? most - left : 0 });
    this.#fire("relay", message);
  }

  #reached(state) {
    if (state !== "connecting" && state !== "reconnecting") this.#step("upstream");
  }

  #configureTurns() {
    const preset = this.state.talkMode ? "push_to_talk" : this.settings.preset === "push_to_talk" ? "normal" : this.settings.preset;
    const own = preset === "custom" && this.settings.numbers;
    this.#link.send({ type: "session.configure", ...(own ? { turn_detection: own } : { turn_preset: preset }) });
    if (this.facts.config) this.facts.config.turn_detection = own || { type: preset };
    if (this.state.talkMode) this.#link.send({ type: "input.clear" });
  }

  #receive(message) {
    this.facts.take(message, performance.now());
    const tell = (what) => this.dispatch({ ...message, type: `relay.${what}` });
    switch (message.type) {
      case "state": this.#reached(message.state); tell("state"); break;
      case "audio.begin": this.#begin(message); break;
      case "audio.end": this.speaker.end(message.item_id); break;
      case "audio.clear": this.#clear(message.item_id); break;
      case "uplink.ack": this.#acked = message.samples; break;
      case "tool.status": tell("tool"); break;
      case "usage": this.dispatch({ type: "relay.usage", usage: message }); break;
      case "warning": case "error": tell(message.type); break;
      case "response.done": if (message.reason === "content_filter") this.#notice("answer.policy"); break;
      case "response.started": tell("answering"); break;
      case "transcript.delta": case "transcript.done": this.#step("transcript"); break;
    }
    this.#fire("relay", message);
  }

  #begin({ item_id: item, offset_samples: offset }) {
    if (this.#downlink.begin(item, offset)) this.speaker.begin(item, offset);
  }

  #hear(buffer) {
    const fresh = this.#downlink.accept(new Int16Array(buffer));
    if (fresh) this.speaker.play(fresh);
  }

  #started(item, heardAt) {
    this.#step("audio");
    this.facts.heard(heardAt);
    this.#link.send({ type: "playout.started", item_id: item, at_ms: this.#link.clock.ofRelay(heardAt) });
    this.dispatch({ type: "playout.started" });
  }

  #position({ item, samples, bufferedMs }) {
    this.#played = { item_id: item, samples };
    this.facts.bufferedMs = bufferedMs;
    this.#link.send({ type: "playout.position", ...this.#played, buffered_ms: bufferedMs });
    this.#fire("heard", { item, samples });
  }

  #clear(item) {
    this.#downlink.refuse(item);
    this.#clears.push(item);
    this.speaker.flush();
  }

  #cleared({ item, samples }) {
    if (item !== null) this.#position({ item, samples, bufferedMs: 0 });
    const asked = this.#clears.shift();
    if (asked !== undefined) {
      const heard = this.#played?.item_id === asked ? this.#played.samples : 0;
      this.#link.send({ type: "playout.cleared", item_id: asked, samples: heard });
    }
    this.dispatch({ type: "playout.stopped" });
  }

  #interrupt() {
    const current = this.#downlink.received?.item_id;
    if (current) this.#downlink.refuse(current);
    this.speaker.flush(); // at once: the relay's own clear is a round trip away
    this.#owesInterrupt = !this.#link.send({ type: "interrupt" });
  }

  #hangUp() {
    this.#link.close();
    this.#uplink = this.#talk = null;
    this.microphone.stop();
    this.speaker.stop();
  }

  #step(step) {
    this.#fire("step", { step });
  }

  #notice(code) {
    this.dispatch({ type: "notice", code });
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

const summaryOf = (summary) => summary && { durationMs: summary.duration_ms, turns: summary.turns, interruptions: summary.interruptions };
