import assert from "node:assert/strict";
import { test } from "node:test";
import { Facts } from "../../static/voice/facts.js";
import { percentile, tripOf } from "../../static/voice/percentile.js";

test("percentiles are numbers that were measured", () => {
  assert.equal(percentile([], 0.5), null);
  assert.equal(percentile([30, 10, 20], 0.5), 20);
  assert.equal(percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.95), 10);
});

test("a turn is measured from the end of speech to the first sound heard", () => {
  const facts = new Facts();
  facts.take({ type: "speech.stopped" }, 1_000);
  facts.take({ type: "response.started" }, 1_150);
  facts.take({ type: "audio.begin" }, 1_400);
  facts.take({ type: "audio.begin" }, 1_900);
  facts.heard(1_470);
  facts.heard(2_000);
  assert.deepEqual(facts.turns, [{ answerMs: 150, soundMs: 400, heardMs: 470 }]);
});

test("an answer to something typed is no turn of speech", () => {
  const facts = new Facts();
  facts.take({ type: "audio.begin" }, 10);
  facts.heard(20);
  assert.deepEqual(facts.turns, []);
});

test("what is kept of a long call is bounded, and holds no text", () => {
  const facts = new Facts();
  for (let n = 0; n < 1_000; n++) {
    facts.take({ type: "transcript.delta", text: "secret" }, n);
    facts.roundTrip(n);
  }
  assert.equal(facts.events.length, 200);
  assert.equal(facts.trips.length, 200);
  assert.ok(!JSON.stringify(facts.events).includes("secret"));
});

test("jitter is how far most trips are from the median", () => {
  assert.equal(tripOf([]), null);
  assert.deepEqual(tripOf([20, 20, 20, 22, 40]), { medianMs: 20, jitterMs: 20 });
});
