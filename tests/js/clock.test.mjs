import assert from "node:assert/strict";
import { test } from "node:test";
import { RelayClock } from "../../static/voice/clock.js";

// The relay began 5,000 ms after the page.
const exchange = (clock, sentAt, there, back) => clock.answered({ t: sentAt, now: sentAt + there - 5_000 }, sentAt + there + back);

test("nothing is claimed before the first answer", () => {
  assert.equal(new RelayClock().ofRelay(6_000), undefined);
});

test("the quickest exchange decides, however lopsided the others were", () => {
  const clock = new RelayClock();
  exchange(clock, 6_000, 300, 10);
  exchange(clock, 7_000, 4, 4);
  exchange(clock, 8_000, 5, 400);
  assert.equal(clock.ofRelay(9_000), 4_000);
  assert.equal(clock.rttMs, 405);
});

test("it is never wrong by more than half of the shortest round trip", () => {
  for (const [there, back] of [[0, 40], [40, 0], [13, 27]]) {
    const clock = new RelayClock();
    exchange(clock, 6_000, there, back);
    assert.ok(Math.abs(clock.ofRelay(9_000) - 4_000) <= 20);
  }
});

test("old exchanges are forgotten: clocks drift apart", () => {
  const clock = new RelayClock();
  clock.answered({ t: 0, now: 77_000 }, 0);
  for (let k = 0; k < 24; k++) exchange(clock, 6_000 + k, 2, 2);
  assert.equal(clock.ofRelay(9_000), 4_000);
});

test("a new connection wants some pings at once", () => {
  const clock = new RelayClock();
  for (let k = 0; k < 12; k++) {
    assert.ok(clock.isNew);
    exchange(clock, k, 1, 1);
  }
  assert.ok(!clock.isNew);
  clock.forget();
  assert.ok(clock.isNew);
  assert.equal(clock.ofRelay(1), undefined);
});
