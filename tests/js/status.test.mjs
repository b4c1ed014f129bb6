import assert from "node:assert/strict";
import { test } from "node:test";
import { t } from "../../static/strings.js";
import { describe } from "../../static/voice/problems.js";
import { stripOf } from "../../static/voice/status.js";

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
