import assert from "node:assert/strict";
import { test } from "node:test";
import { Utterance } from "../../static/voice/utterance.js";

const SECOND = 24_000;
const spoken = (heard, build) => {
  const utterance = new Utterance("item", "assistant");
  build(utterance);
  utterance.heard(heard);
  return utterance.text.slice(0, utterance.said);
};
const TEXT = "one two three four five six seven eight"; // 39 characters

test("a person's own words are all heard", () => {
  const utterance = new Utterance("item", "user");
  utterance.add("hello there", null);
  assert.equal(utterance.said, 11);
});

test("nothing is bright before the first sample", () => {
  assert.equal(spoken(0, (one) => (one.add(TEXT, 0), one.finish(TEXT, 4 * SECOND))), "");
});

test("half of the sound is half of the text, in whole words", () => {
  assert.equal(spoken(2 * SECOND, (one) => (one.add(TEXT, 0), one.finish(TEXT, 4 * SECOND))), "one two three four");
});

test("all of the sound is all of the text", () => {
  assert.equal(spoken(4 * SECOND, (one) => (one.add(TEXT, 0), one.finish(TEXT, 4 * SECOND))), TEXT);
});

test("a sentence whose speech begins later is not bright before, however long the first one is spoken", () => {
  const two = (one) => {
    one.add("Short.", 0);
    one.add(" And this is a much longer second sentence.", 3 * SECOND);
    one.finish("Short. And this is a much longer second sentence.", 5 * SECOND);
  };
  assert.equal(spoken(2.9 * SECOND, two), "Short.");
  assert.notEqual(spoken(4 * SECOND, two), "Short.");
});

test("text that runs far ahead of its speech brightens at the pace of speech", () => {
  const said = spoken(SECOND, (one) => one.add("word ".repeat(60), 0)); // one second of twenty
  assert.equal(said.trim().length, 14);
});

test("what was heard stays heard when the whole text comes in", () => {
  const utterance = new Utterance("item", "assistant");
  utterance.add(TEXT, 0);
  utterance.finish(TEXT, 4 * SECOND);
  utterance.heard(3 * SECOND);
  const before = utterance.said;
  utterance.heard(SECOND); // a report that comes late
  assert.equal(utterance.said, before);
});

test("an answer that was heard already when its text is complete is bright", () => {
  assert.equal(spoken(SECOND, (one) => (one.add(TEXT, 0), one.finish(TEXT, null, "completed"))), TEXT);
});

test("what was not heard of an interrupted answer stays grey for good", () => {
  assert.equal(spoken(SECOND, (one) => (one.add(TEXT, 0), one.finish(TEXT, null, "interrupted"))), "one two three");
});
