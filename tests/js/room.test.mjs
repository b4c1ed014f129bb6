import assert from "node:assert/strict";
import { test } from "node:test";
import { decibels, echoSays, noiseFloor, roomSays } from "../../static/voice/room.js";

test("a level in decibels; silence has an end", () => {
  assert.equal(decibels(1), 0);
  assert.equal(Math.round(decibels(0.1)), -20);
  assert.equal(decibels(0), -100);
});

test("the noise floor is what lies under the words", () => {
  assert.equal(noiseFloor(Array(19).fill(-60)), null);
  const talk = [...Array(10).fill(-62), ...Array(30).fill(-20)];
  assert.equal(noiseFloor(talk), -62);
});

test("a room is quiet, has some noise, or is noisy", () => {
  assert.deepEqual([-70, -50, -30].map(roomSays), ["room_quiet", "room_some_noise", "room_noisy"]);
});

test("own sound that comes back is echo, whatever the browser says of itself", () => {
  assert.equal(echoSays({ cancels: true, floor: -65, played: Array(20).fill(-30) }), "echo_heard");
  assert.equal(echoSays({ cancels: true, floor: -65, played: Array(20).fill(-62) }), "echo_removed");
  assert.equal(echoSays({ cancels: true, floor: -90, played: Array(20).fill(-70) }), "echo_removed");
});

test("one loud moment while it played is no echo", () => {
  assert.equal(echoSays({ cancels: true, floor: -65, played: [...Array(18).fill(-64), -10, -10] }), "echo_removed");
});

test("without a measurement the browser's word counts", () => {
  assert.equal(echoSays({ cancels: false }), "use_headphones");
  assert.equal(echoSays({ cancels: true }), "echo_removed");
  assert.equal(echoSays({ cancels: null }), "echo_removed");
});
