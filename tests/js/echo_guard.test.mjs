import assert from "node:assert/strict";
import { test } from "node:test";
import { EchoGuard } from "../../static/voice/echo_guard.js";

/** `ms` of frames of 40 ms; how many of them were taken for echo. */
function run(guard, { ms, microphone, loudspeaker, cancelled = true, from = 0 }) {
  let echoes = 0;
  for (let at = from; at < from + ms; at += 40) echoes += guard.isEcho(microphone, loudspeaker, cancelled, at);
  return echoes;
}

test("a person is heard while nothing plays, however softly they speak", () => {
  assert.equal(run(new EchoGuard(), { ms: 10_000, microphone: 0.004, loudspeaker: 0 }), 0);
});

test("the first seconds of the assistant's own voice are held back, then the browser's canceller is trusted", () => {
  const guard = new EchoGuard();
  assert.equal(run(guard, { ms: 2_000, microphone: 0.03, loudspeaker: 0.1 }), 50);
  run(guard, { ms: 200, microphone: 0.03, loudspeaker: 0.1, from: 2_000 });
  assert.equal(run(guard, { ms: 2_000, microphone: 0.03, loudspeaker: 0.1, from: 2_200 }), 0);
});

test("who talks over the answer is heard at once", () => {
  assert.equal(run(new EchoGuard(), { ms: 1_000, microphone: 0.08, loudspeaker: 0.1 }), 0);
});

test("an echo may come a moment after the sound, not long after it", () => {
  const guard = new EchoGuard();
  run(guard, { ms: 400, microphone: 0, loudspeaker: 0.1 });
  assert.equal(run(guard, { ms: 320, microphone: 0.03, loudspeaker: 0, from: 400 }), 8);
  assert.equal(run(guard, { ms: 400, microphone: 0.03, loudspeaker: 0, from: 1_000 }), 0);
});

test("a browser that cancels nothing is never trusted", () => {
  const guard = new EchoGuard();
  run(guard, { ms: 10_000, microphone: 0.03, loudspeaker: 0.1, cancelled: false });
  assert.equal(run(guard, { ms: 400, microphone: 0.03, loudspeaker: 0.1, cancelled: false, from: 10_000 }), 10);
});
