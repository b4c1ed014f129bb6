import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "./worklet.mjs";

const frames = (posted) => posted.filter((one) => one.frame).map((one) => new Int16Array(one.frame));

test("quanta become frames of 40 ms, no sample lost or doubled", async () => {
  const worklet = await start("capture", 24_000, { processorOptions: { frameSamples: 960 } });
  worklet.run(30, (k) => Float32Array.from({ length: 128 }, (_, at) => (k * 128 + at) / 32_767));
  const got = frames(worklet.take());
  assert.deepEqual(got.map((frame) => frame.length), [960, 960, 960, 960]);
  assert.deepEqual([...got.flatMap((frame) => [...frame])], Array.from({ length: 3_840 }, (_, k) => Math.trunc(Math.fround(k / 32_767) * 32_767)));
});

test("what is too loud is cut, not wrapped", async () => {
  const worklet = await start("capture", 24_000);
  worklet.run(8, (k) => new Float32Array(128).fill(k % 2 ? 1.5 : -1.5));
  const [frame] = frames(worklet.take());
  assert.equal(Math.max(...frame), 32_767);
  assert.equal(Math.min(...frame), -32_768);
});

test("a source that is not there yet does no harm", async () => {
  const worklet = await start("capture", 24_000);
  assert.equal(worklet.run(5).goesOn, true);
  assert.deepEqual(worklet.take(), []);
});

test("a context at 48 kHz gives 24 kHz frames, with nothing folded back", async () => {
  const worklet = await start("capture", 48_000);
  const input = (hz) => (k) => Float32Array.from({ length: 128 }, (_, at) => 0.5 * Math.sin((2 * Math.PI * hz * (k * 128 + at)) / 48_000));
  worklet.run(375, input(1_000));
  const voice = frames(worklet.take());
  assert.equal(voice.length, 25);
  worklet.run(375, input(15_000));
  const folded = frames(worklet.take()).slice(2);
  const loudest = (all) => Math.max(...all.flatMap((frame) => [...frame]).map(Math.abs));
  assert.ok(Math.abs(loudest(voice) - 16_384) < 200);
  assert.ok(loudest(folded) <= 2, `an alias of ${loudest(folded)}`);
});

test("stop is answered and lets the processor go", async () => {
  const worklet = await start("capture", 24_000);
  worklet.say("stop");
  assert.equal(worklet.run(1).goesOn, false);
  assert.deepEqual(worklet.take(), [{ stopped: true }]);
});
