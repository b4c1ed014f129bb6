import assert from "node:assert/strict";
import { test } from "node:test";
import { t } from "../../static/strings.js";
import { describe } from "../../static/voice/problems.js";
import { stripOf, toldAfter } from "../../static/voice/status.js";

globalThis.document = { getElementById: () => ({ textContent: JSON.stringify({ "answer.slow": "Die Antwort ist ausgeblieben." }) }) };

const strip = (code) => stripOf({ ending: null, silenced: false, hint: null, slow: false, degraded: code && { code, message: "An English sentence." } }, 0);
const shown = (code) => t(strip(code).key, strip(code).values, strip(code).text);

test("a warning of the relay is shown in the page's own words", () => {
  assert.equal(shown("answer.slow"), "Die Antwort ist ausgeblieben.");
  assert.equal(strip(null), null);
});

test("the server's sentence is for what a page of this version does not know", () => {
  assert.equal(shown("answer.of_tomorrow"), "An English sentence.");
  assert.deepEqual([describe({ code: "new.code", message: "An English sentence." }).text, describe({ code: "new.code" }).key], ["An English sentence.", "unknown"]);
});

test("so are the errors of a typed message", () => {
  const { key, text, action } = describe({ code: "upstream.message_refused", message: "An English sentence." });
  assert.deepEqual([key, text, action], ["upstream.message_refused", null, "again"]);
});

test("a key that is missing shows itself", () => assert.equal(t("nowhere"), "nowhere"));

/** What a screen reader says of these states, one after the other, each of which lasts. */
function told(...keys) {
  return keys.filter((key, at) => toldAfter(key, keys[at - 1]) !== null);
}

test("what the two of a call say is not talked over, whoever takes a turn", () => {
  assert.deepEqual(told("connecting", "listening", "hearing", "speaking", "listening", "hearing", "speaking", "listening"), ["connecting", "listening"]);
  assert.deepEqual(told("hold_to_talk", "talking", "speaking", "hold_to_talk"), ["hold_to_talk"]);
});

test("a thought is told when it lasts, and that it goes on", () => {
  assert.equal(toldAfter("thinking", "hearing"), 2_000);
  assert.deepEqual(told("hearing", "still_working", "speaking", "listening"), ["still_working"]);
  assert.deepEqual(told("hearing", "still_recording"), ["still_recording"]);
});

test("what happened to the call is told, and that it is well again", () => {
  assert.deepEqual(told("speaking", "reconnecting", "listening"), ["reconnecting", "listening"]);
  assert.deepEqual(told("speaking", "listening", "muted", "listening"), ["muted", "listening"]);
});

test("an end is left to its summary or its problem", () => {
  assert.deepEqual(told("speaking", "ended"), []);
  assert.deepEqual(told("checking", "error"), ["checking"]);
});
