import assert from "node:assert/strict";
import { test } from "node:test";
import { flat, start, tone } from "./worklet.mjs";

const only = (posted, kind) => posted.filter((one) => one[kind] !== undefined);

test("nothing sounds before 60 ms are there", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(1_439));
  assert.ok(worklet.run(20).out.every((value) => value === 0));
  worklet.say(flat(1));
  assert.ok(worklet.run(1).out.every((value) => value === 0.25));
  const at = (21 * 128) / 24_000;
  assert.deepEqual(only(worklet.take(), "started"), [{ started: "a", samples: 0, buffered: 1_440, at }]);
});

test("an item shorter than the buffer sounds as soon as its end is known", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(256));
  worklet.run(4);
  worklet.say({ end: "a" });
  const { out } = worklet.run(4);
  assert.equal(out.filter((value) => value === 0.25).length, 256);
  assert.deepEqual(only(worklet.take(), "drained"), [{ drained: "a", samples: 256, buffered: 0 }]);
});

test("an item that ends after running dry is still told as drained, once", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(1_440));
  worklet.run(20);
  worklet.take();
  worklet.say({ end: "a" });
  worklet.run(5);
  assert.deepEqual(worklet.take(), [{ drained: "a", samples: 1_440, buffered: 0 }]);
});

test("the buffer grows after an underrun", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(1_440));
  worklet.run(20);
  assert.deepEqual(only(worklet.take(), "underruns"), [{ underruns: 1 }]);
  worklet.say(flat(2_879));
  worklet.run(2);
  assert.equal(only(worklet.take(), "started").length, 0);
  worklet.say(flat(1));
  worklet.run(1);
  assert.equal(only(worklet.take(), "started").length, 1);
});

test("the buffer shrinks again after ten calm seconds, and not before", async () => {
  const worklet = await start("playout", 24_000);
  const startsWith = (samples) => {
    worklet.take();
    worklet.say(flat(samples));
    worklet.run(1);
    return only(worklet.take(), "started").length === 1;
  };
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(1_440));
  worklet.run(20); // runs dry: 120 ms are wanted from now on
  worklet.say(flat(238_000));
  worklet.run(1_858);
  worklet.say({ flush: 1 });
  worklet.say({ begin: "b", offset: 0 });
  assert.equal(startsWith(1_440), false, "not yet ten seconds");
  worklet.say(flat(6_000));
  worklet.run(40);
  worklet.say({ flush: 2 });
  worklet.say({ begin: "c", offset: 0 });
  assert.equal(startsWith(1_439), false);
  assert.equal(startsWith(1), true, "60 ms are enough again");
});

test("a flush is silent at once and answers how much was played", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(4_800));
  worklet.run(10);
  worklet.take();
  worklet.say({ flush: 1 });
  assert.deepEqual(worklet.take(), [{ flushed: "a", samples: 1_280, buffered: 3_520, flush: 1 }]);
  const { out } = worklet.run(10);
  assert.ok(Math.abs(out[0]) < 0.25 && out.slice(640).every((value) => Math.abs(value) < 1e-4), "it fades, it does not go on");
  worklet.say({ flush: 1 });
  assert.deepEqual(worklet.take(), [{ flushed: null, samples: 0, buffered: 0, flush: 1 }]);
});

test("samples are counted within the item they belong to, from its offset on", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(1_500));
  worklet.say({ end: "a" });
  worklet.say({ begin: "b", offset: 4_000 });
  worklet.say(flat(1_500));
  worklet.run(16); // 2,048 samples: 548 of them are b's
  const posted = worklet.take();
  assert.deepEqual(only(posted, "drained"), [{ drained: "a", samples: 1_500, buffered: 1_464 }]);
  worklet.say({ flush: 1 });
  assert.deepEqual(worklet.take(), [{ flushed: "b", samples: 4_548, buffered: 952, flush: 1 }]);
});

test("a pause between two items is no underrun", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(1_440));
  worklet.say({ end: "a" });
  worklet.say({ begin: "b", offset: 0 });
  worklet.run(30);
  assert.equal(only(worklet.take(), "underruns").length, 0);
});

test("positions come every 100 ms of sound", async () => {
  const worklet = await start("playout", 24_000);
  worklet.say({ begin: "a", offset: 0 });
  worklet.say(flat(24_000));
  worklet.run(180); // 23,040 samples
  const gaps = only(worklet.take(), "position").map((one, at, all) => one.samples - (all[at - 1]?.samples ?? 0));
  assert.equal(gaps.length, 9);
  assert.ok(gaps.every((gap) => gap >= 2_400 && gap < 2_528));
});

for (const rateHz of [44_100, 48_000]) {
  test(`at ${rateHz} Hz the item plays in full, at its pitch, and the count is exact`, async () => {
    const worklet = await start("playout", rateHz);
    worklet.say({ begin: "a", offset: 0 });
    worklet.say({ frame: tone(24_000).buffer });
    worklet.say({ end: "a" });
    const { out } = worklet.run(Math.ceil(rateHz / 128) + 8);
    assert.deepEqual(only(worklet.take(), "drained"), [{ drained: "a", samples: 24_000, buffered: 0 }]);
    const loud = out.filter((value) => Math.abs(value) > 1e-3).length;
    assert.ok(Math.abs(loud - rateHz) < rateHz * 0.01, `${loud} samples sounded`);
    let [periods, below] = [0, true]; // a period counts from well below to well above zero: the filter rings a little at both ends
    for (const value of out) {
      if (below && value > 0.1) [periods, below] = [periods + 1, false];
      else if (value < -0.1) below = true;
    }
    assert.equal(periods, 440);
  });

  test(`at ${rateHz} Hz a flush counts what left the worklet, not what is in the filter`, async () => {
    const worklet = await start("playout", rateHz);
    worklet.say({ begin: "a", offset: 0 });
    worklet.say(flat(12_000));
    const quanta = 40;
    worklet.run(quanta);
    worklet.take();
    worklet.say({ flush: 1 });
    const [{ samples }] = worklet.take();
    const played = (quanta * 128 * 24_000) / rateHz;
    assert.ok(Math.abs(samples - played) < 48, `${samples} of ${played}`);
  });
}
