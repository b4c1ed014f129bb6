import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MOST_TRIES, verdict, waitBefore } from "../../static/voice/retry.js";

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

test("an upstream that asks to wait is waited for", () => {
  assert.equal(verdict(4502, 3_000), "again");
  assert.equal(waitBefore({ attempt: 1, elapsedMs: 0, chance: 0, retryAfterMs: 3_000 }), 3_000);
});

test("waits grow with full jitter and stay under the cap", () => {
  const longest = (attempt) => waitBefore({ attempt, elapsedMs: 0, chance: 1 });
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(longest), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.equal(waitBefore({ attempt: 8, elapsedMs: 0, chance: 0 }), 0);
});

test("it gives up after eight tries or when the relay has let the session go", () => {
  assert.equal(waitBefore({ attempt: MOST_TRIES + 1, elapsedMs: 0, chance: 0 }), null);
  assert.equal(waitBefore({ attempt: 2, elapsedMs: 59_500, chance: 1 }), null);
});
