import assert from "node:assert/strict";
import { test } from "node:test";
import { level, Ring } from "../../static/voice/pcm.js";
import { Talk } from "../../static/voice/talk.js";
import { Uplink } from "../../static/voice/uplink.js";

/** An uplink whose samples are their own numbers, and everything it sent. */
function made({ waiting = 0, capacity } = {}) {
  const sent = [];
  const state = { waiting };
  let number = 0;
  const uplink = new Uplink({ send: (frame) => sent.push(...frame), waitingBytes: () => state.waiting, ring: new Ring(capacity) });
  const capture = (count) => uplink.push(Int16Array.from({ length: count }, () => number++ % 30_000));
  return { uplink, sent, state, capture };
}
const numbers = (from, to) => Array.from({ length: to - from }, (_, k) => (from + k) % 30_000);

test("the ring gives back what it was given, across its seam", () => {
  const ring = new Ring(10);
  ring.push(Int16Array.from(numbers(0, 7)));
  ring.push(Int16Array.from(numbers(7, 14)));
  assert.deepEqual([ring.start, ring.end], [4, 14]);
  assert.deepEqual([...ring.read(4, 10)], numbers(4, 14));
  assert.throws(() => ring.read(3, 1), RangeError);
  ring.push(Int16Array.from(numbers(14, 39)));
  assert.deepEqual([...ring.read(29, 10)], numbers(29, 39));
});

test("the level of silence is nothing, of a square wave its height", () => {
  assert.equal(level(new Int16Array(100)), 0);
  assert.equal(level(Int16Array.from({ length: 100 }, (_, k) => (k % 2 ? 16_384 : -16_384))), 0.5);
});

test("words from before the connection are sent first, and none is lost", () => {
  const { uplink, sent, capture } = made();
  capture(24_000);
  uplink.pump(1_000);
  assert.deepEqual(sent, []);
  uplink.attach(0, 1_000);
  for (let now = 1_000; now <= 2_000; now += 40) {
    capture(960);
    uplink.pump(now);
  }
  assert.deepEqual(sent, numbers(0, 24_000 + 26 * 960));
});

test("catching up is never faster than four times real time", () => {
  const { uplink, sent, capture } = made();
  capture(240_000);
  uplink.attach(0, 0);
  uplink.pump(0);
  const before = sent.length;
  for (let now = 40; now <= 1_000; now += 40) uplink.pump(now);
  assert.ok(before <= 4_800);
  assert.ok(sent.length - before <= 96_000, `${sent.length} samples in a second`);
  assert.ok(sent.length > 90_000, "and not much slower");
});

test("after a reconnection it goes on where the relay stopped hearing", () => {
  const { uplink, sent, capture } = made();
  uplink.attach(0, 0);
  capture(9_600);
  for (let now = 0; now <= 400; now += 40) uplink.pump(now);
  uplink.detach();
  capture(4_800);
  sent.length = 0;
  uplink.attach(5_000, 1_000);
  for (let now = 1_000; now <= 2_000; now += 40) uplink.pump(now);
  assert.deepEqual(sent, numbers(5_000, 14_400));
});

test("a clogged socket is not fed; the ring keeps the words", () => {
  const { uplink, sent, state, capture } = made({ waiting: 96_001 });
  uplink.attach(0, 0);
  capture(960);
  uplink.pump(40);
  assert.equal(uplink.held, true);
  assert.deepEqual(sent, []);
  state.waiting = 0;
  uplink.pump(80);
  assert.deepEqual(sent, numbers(0, 960));
});

test("what the ring no longer has is skipped, and both sides go on counting alike", () => {
  const { uplink, sent, capture } = made({ capacity: 4_800 });
  capture(9_600);
  uplink.attach(0, 0);
  assert.equal(uplink.captured, 4_800);
  for (let now = 0; now < 200; now += 40) uplink.pump(now);
  assert.deepEqual(sent, numbers(4_800, 9_600));
});

test("a new session begins with what the old one did not hear", () => {
  const { uplink, sent, capture } = made();
  uplink.attach(0, 0);
  capture(2_880);
  uplink.pump(40);
  uplink.detach();
  uplink.renumber(1_920);
  assert.equal(uplink.captured, 960);
  sent.length = 0;
  uplink.attach(0, 100);
  uplink.pump(140);
  assert.deepEqual(sent, numbers(1_920, 2_880));
});

test("a mark is passed when everything before it was sent", () => {
  const { uplink, capture } = made();
  let passed = 0;
  capture(960);
  uplink.mark(() => passed++);
  assert.equal(passed, 0);
  uplink.attach(0, 0);
  uplink.pump(40);
  uplink.pump(80);
  assert.equal(passed, 1);
});

test("a mark after audio that did not arrive is passed again after it", () => {
  const { uplink, capture } = made();
  let passed = 0;
  uplink.attach(0, 0);
  capture(960);
  uplink.pump(40);
  uplink.mark(() => passed++);
  uplink.detach();
  uplink.attach(480, 1_000);
  uplink.pump(1_040);
  assert.equal(passed, 2);
});

test("push-to-talk sends from a little before the press to a little after the release, then commits", () => {
  const { uplink, sent } = made();
  let commits = 0;
  const talk = new Talk(uplink, () => commits++);
  let number = 0;
  const hear = (frames, from) => {
    for (let k = 0; k < frames; k++) {
      talk.take(new Int16Array(960).fill(number++));
      uplink.pump(from + k * 40);
    }
  };
  uplink.attach(0, 0);
  hear(20, 0);
  assert.deepEqual(sent, []);
  talk.begin();
  hear(10, 800);
  talk.finish();
  hear(2, 1_200);
  assert.equal(commits, 0);
  hear(10, 1_280);
  assert.equal(commits, 1);
  assert.deepEqual([...new Set(sent)], numbers(15, 33));
});
