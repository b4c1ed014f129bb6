import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { describe } from "../../static/voice/problems.js";
import { MOST_TRIES, problemOf, verdict, waitBefore } from "../../static/voice/retry.js";

test("each close code of the protocol page is treated as it says", () => {
  const page = readFileSync(new URL("../../docs/reference/browser-protocol.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| (\d{4}) \| [^|]+ \| ([^|]+) \|$/gm)];
  assert.ok(rows.length >= 13);
  for (const [, code, does] of rows) {
    const wanted = does.includes("mints") ? "again" : does.startsWith("stops") ? "stop" : "over";
    assert.equal(verdict(Number(code)), wanted, `${code}: ${does}`);
  }
});

test("codes of servers and proxies mean: try again", () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013]) assert.equal(verdict(code), "again");
});

test("a page that was silent, as during a sleep, comes back to its session; one whose session is over does not", () => {
  assert.equal(verdict(4408, null, false), "again");
  assert.equal(verdict(4408, null, true), "over");
});

test("an upstream that asks to wait is waited for", () => {
  assert.equal(verdict(4502, 3_000), "again");
  assert.equal(waitBefore({ attempt: 1, elapsedMs: 0, chance: 0, retryAfterMs: 3_000 }), 3_000);
});

test("waits grow with full jitter and stay under the cap", () => {
  const longest = (attempt) => waitBefore({ attempt, elapsedMs: 0, chance: 1 });
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(longest), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  assert.equal(waitBefore({ attempt: 7, elapsedMs: 0, chance: 0 }), 0);
});

test("it gives up after eight tries or when the relay has let the session go", () => {
  assert.equal(waitBefore({ attempt: MOST_TRIES + 1, elapsedMs: 0, chance: 0 }), null);
  assert.equal(waitBefore({ attempt: 2, elapsedMs: 59_500, chance: 0 }), null);
  assert.equal(waitBefore({ attempt: 2, elapsedMs: 40_000, chance: 0, retryAfterMs: 30_000 }), null);
});

test("a long wait does not outlive the grace", () => {
  const wait = waitBefore({ attempt: 7, elapsedMs: 40_000, chance: 1 });
  assert.ok(wait > 10_000 && 40_000 + wait < 60_000);
});

/** When each try begins, in ms after the loss, when every try fails at once. */
function tries(chance) {
  const at = [];
  for (let attempt = 1, elapsedMs = 0; ; attempt++) {
    const wait = waitBefore({ attempt, elapsedMs, chance: chance() });
    if (wait === null) return at;
    at.push((elapsedMs += wait));
  }
}

test("whatever chance brings, an outage of twenty seconds is outlived", () => {
  let state = 7;
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (const chance of [() => 0, () => 1, () => 0.5, ...Array(2_000).fill(random)]) {
    const last = tries(chance).at(-1);
    assert.ok(last > 20_000 && last < 60_000, `the last try came after ${last} ms`);
  }
});

test("a call that an operator ended, or whose conversation is gone, is not said to need a new sign-in", () => {
  const action = (reason) => describe({ code: problemOf(4403, reason) });
  assert.deepEqual([action("operator").key, action("operator").action], ["ended_operator", "again"]);
  assert.deepEqual([action("conversation_deleted").key, action("conversation_deleted").action], ["conversation_deleted", null]);
  for (const reason of ["revoked", null]) assert.equal(action(reason).action, "sign_in");
});
