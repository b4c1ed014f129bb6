// The playout worklet under late frames: underruns, silence heard, and how far what is heard lies behind its being said.
//
//   node bench/jitter_buffer.mjs
//
// Five answers of a minute come in frames of 40 ms in real time, each frame up to so many ms late, and in order, as over TCP. The
// worst case: an upstream makes speech faster than it is heard, and the relay sends it seconds ahead. Virtual time, fixed chance.

import { start } from "../tests/js/worklet.mjs";

const DEVICE_HZ = 48_000;
const RATE_HZ = 24_000;
const QUANTUM_MS = (128 / DEVICE_HZ) * 1_000;
const FRAME_MS = 40;
const SPEECH_MS = 60_000;
const ANSWERS = 5;

function chance(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

function arrivals(late_ms, seed) {
  const random = chance(seed);
  const found = [];
  for (let at = 0; at < SPEECH_MS; at += FRAME_MS) {
    found.push(Math.max(at + FRAME_MS + random() * late_ms, found.at(-1) ?? 0));
  }
  return found;
}

async function answer(late_ms, seed) {
  const worklet = await start("playout", DEVICE_HZ, {});
  const due = arrivals(late_ms, seed);
  const behind = [];
  let underruns = 0;
  let silent = 0;
  let began = false;
  worklet.say({ begin: "item", offset: 0 });
  for (let now = 0, next = 0; now < SPEECH_MS; now += QUANTUM_MS) {
    while (next < due.length && due[next] <= now) {
      worklet.say({ frame: new Int16Array((RATE_HZ * FRAME_MS) / 1_000).fill(8_000).buffer });
      next++;
    }
    const heard = worklet.run(1).out;
    for (const told of worklet.take()) {
      began ||= told.started !== undefined;
      underruns = told.underruns ?? underruns;
      if (told.position !== undefined) behind.push(now - (told.samples / RATE_HZ) * 1_000);
    }
    if (began) silent += heard.filter((sample) => Math.abs(sample) < 1e-4).length;
  }
  return { underruns, silent_ms: (silent / DEVICE_HZ) * 1_000, behind_ms: behind.at(-1) };
}

async function measure(late_ms) {
  const found = [];
  for (let n = 1; n <= ANSWERS; n++) found.push(await answer(late_ms, n * 7_919));
  const sum = (name) => found.reduce((total, one) => total + one[name], 0);
  const behind = found.map((one) => one.behind_ms).sort((a, b) => a - b);
  const row = [sum("underruns"), sum("silent_ms"), behind[Math.floor(ANSWERS / 2)], behind.at(-1)];
  return [`${late_ms} ms`, ...row.map((value) => value.toFixed(0))];
}

console.log("| frames late by up to | underruns in five minutes | silence heard, ms | heard behind, at the end, median ms | at most |");
console.log("|---|---|---|---|---|");
for (const late_ms of [0, 20, 50, 100, 200, 400]) console.log(`| ${(await measure(late_ms)).join(" | ")} |`);
