// An hour's call through everything on the page that keeps something of it, on a clock of the test's own: what is kept stays as it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { initial, reduce } from "../../static/voice/call.js";
import { Captions } from "../../static/voice/captions.js";
import { RelayClock } from "../../static/voice/clock.js";
import { Downlink } from "../../static/voice/downlink.js";
import { EchoGuard } from "../../static/voice/echo_guard.js";
import { Facts } from "../../static/voice/facts.js";
import { level } from "../../static/voice/pcm.js";
import { Talk } from "../../static/voice/talk.js";
import { Uplink } from "../../static/voice/uplink.js";
import { start, tone } from "./worklet.mjs";

const RATE_HZ = 24_000;
const FRAME = 960; // 40 ms, 7.5 quanta
const TURN_FRAMES = 150; // six seconds: three of each side
const TURNS = 600;
const WARM_UP = 100; // what is bounded is full by then
const MOST_GROWTH_BYTES = 250_000; // the engine's own compiled code is 150,000 of it; after some thousand turns it stays as it is

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
async function kept() {
  for (let k = 0; k < 5; k++) {
    gc();
    await new Promise((done) => setImmediate(done));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** As much of a page as the caption line touches. */
function page() {
  const element = () => ({ className: "", textContent: "", hidden: false, scrollTop: 0, offsetHeight: 20, classList: { toggle() {} }, append() {} });
  globalThis.document = { createElement: element, createTextNode: () => ({ data: "" }) };
  globalThis.getComputedStyle = () => ({ lineHeight: "20px" });
  return element();
}

class Call {
  #now = 0;
  #state = initial;
  #sent = 0;
  #commits = 0;
  #uplink = new Uplink({ send: (samples) => (this.#sent += samples.length), waitingBytes: () => 0 });
  #talk = new Talk(this.#uplink, () => this.#commits++);
  #echo = new EchoGuard();
  #downlink = new Downlink();
  #captions = new Captions(page());
  #facts = new Facts();
  #clock = new RelayClock();
  #voice = tone(FRAME);
  #heard = 0;

  static async begin() {
    const call = new Call();
    [call.capture, call.playout] = [await start("capture", RATE_HZ), await start("playout", RATE_HZ)];
    for (const event of [{ type: "start" }, { type: "mic.ready" }, { type: "link.ready", state: "listening" }]) call.#happens(event);
    call.#uplink.attach(0, 0);
    return call;
  }

  get sizes() {
    return { sent: this.#sent, commits: this.#commits, heard: this.#heard, facts: this.#facts.turns.length, state: JSON.stringify(this.#state).length };
  }

  #happens(event) {
    this.#state = reduce(this.#state, event, this.#now).state;
  }

  #relay(message) {
    this.#facts.take(message, this.#now);
    this.#captions.take(message);
  }

  /** 40 ms: what the microphone gives goes up, what is to be heard is played. */
  #pass(quanta, byHand) {
    this.#now += 40;
    this.capture.run(quanta, () => this.#silence);
    for (const { frame } of this.capture.take()) {
      const samples = new Int16Array(frame);
      this.#echo.isEcho(level(samples), 0.1, null, this.#now);
      if (byHand) this.#talk.take(samples);
      else this.#uplink.push(samples);
      this.#uplink.pump(this.#now);
    }
    this.playout.run(quanta);
    for (const { started, position, drained, samples } of this.playout.take()) {
      if (started) {
        this.#facts.heard(this.#now);
        this.#happens({ type: "playout.started" });
      }
      if (position) this.#captions.heard(position, samples);
      if (!drained) continue;
      this.#heard += samples;
      this.#happens({ type: "playout.stopped" });
    }
  }

  #silence = new Float32Array(128);

  /** One turn; every other one by push-to-talk, every tenth answer is cut off. */
  turn(number) {
    const [said, spoken, byHand] = [`said_${number}`, `spoken_${number}`, number % 2 === 1];
    this.#relay({ type: "speech.started", item_id: said });
    if (byHand) this.#talk.begin();
    for (let k = 0; k < TURN_FRAMES; k++) {
      if (k === 60 && byHand) this.#talk.finish();
      if (k === 70) this.#answer(number, said, spoken);
      if (k === 100 && number % 10 === 0) this.#cut(spoken);
      this.#pass(k % 2 ? 8 : 7, byHand);
    }
    this.#clock.answered({ t: this.#now - 20, now: this.#now }, this.#now);
    this.#facts.roundTrip(20);
  }

  #answer(number, said, spoken) {
    this.#relay({ type: "speech.stopped", item_id: said });
    this.#relay({ type: "transcript.delta", item_id: said, role: "user", text: "And what " });
    this.#relay({ type: "transcript.done", item_id: said, role: "user", text: "And what then?" });
    this.#relay({ type: "response.started", response_id: `answer_${number}` });
    this.#happens({ type: "relay.state", state: "thinking" });
    this.#relay({ type: "audio.begin", item_id: spoken });
    if (this.#downlink.begin(spoken, 0)) this.playout.say({ begin: spoken, offset: 0 });
    for (let k = 0; k < 60; k++) {
      const fresh = this.#downlink.accept(this.#voice.slice());
      if (fresh) this.playout.say({ frame: fresh.buffer });
      this.#relay({ type: "transcript.delta", item_id: spoken, role: "assistant", text: "and then ", samples: (k + 1) * FRAME });
    }
    this.#relay({ type: "transcript.done", item_id: spoken, role: "assistant", text: "and then ".repeat(60), samples: 60 * FRAME, status: "completed" });
    this.playout.say({ end: spoken });
  }

  #cut(spoken) {
    this.#downlink.refuse(spoken);
    this.playout.say({ flush: 1 });
    this.#happens({ type: "interrupt" });
  }
}

test("an hour's call leaves nothing on the page that ten minutes did not", { timeout: 60_000 }, async () => {
  const call = await Call.begin();
  let number = 0;
  while (number < WARM_UP) call.turn(number++);
  const [before, early] = [await kept(), call.sizes];
  while (number < TURNS) call.turn(number++);
  const [growth, late] = [(await kept()) - before, call.sizes];

  assert.ok(growth < MOST_GROWTH_BYTES, `${growth} bytes more`);
  assert.equal(late.facts, 200);
  assert.ok(Math.abs(late.state - early.state) < 20);
  // It was an hour: all that was said went up but what push-to-talk leaves out, and the answers were heard to their end.
  assert.ok(late.sent > (TURNS / 2) * TURN_FRAMES * FRAME);
  assert.equal(late.commits, TURNS / 2);
  assert.equal(late.heard, TURNS * 0.9 * 60 * FRAME);
});
