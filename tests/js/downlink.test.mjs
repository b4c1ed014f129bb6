import assert from "node:assert/strict";
import { test } from "node:test";
import { Downlink } from "../../static/voice/downlink.js";

const frame = (from, to) => Int16Array.from({ length: to - from }, (_, k) => from + k);

test("audio sent again after a reconnection is heard once", () => {
  const down = new Downlink();
  assert.equal(down.begin("a", 0), true);
  assert.equal(down.accept(frame(0, 100)).length, 100);
  assert.deepEqual(down.received, { item_id: "a", samples: 100 });
  assert.equal(down.begin("a", 40), false);
  assert.equal(down.accept(frame(40, 90)), null);
  assert.deepEqual([...down.accept(frame(90, 120))], [...frame(100, 120)]);
  assert.deepEqual([...down.accept(frame(120, 130))], [...frame(120, 130)]);
});

test("a gap in an item is told, so that positions stay true", () => {
  const down = new Downlink();
  down.begin("a", 0);
  down.accept(frame(0, 100));
  assert.equal(down.begin("a", 500), true);
  assert.deepEqual(down.received, { item_id: "a", samples: 500 });
});

test("nothing of an item that was cut off is passed on, but the next item is", () => {
  const down = new Downlink();
  down.begin("a", 0);
  down.refuse("a");
  assert.equal(down.accept(frame(0, 100)), null);
  down.begin("b", 0);
  assert.equal(down.accept(frame(0, 100)).length, 100);
});

test("frames before any item are dropped", () => {
  assert.equal(new Downlink().accept(frame(0, 10)), null);
  assert.equal(new Downlink().received, null);
});
