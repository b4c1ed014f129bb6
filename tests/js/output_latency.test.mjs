import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { heardAt, outputLatency } from "../../static/voice/output_latency.js";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
const CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
const as = (userAgent) => Object.defineProperty(globalThis, "navigator", { value: { userAgent }, configurable: true });
const refuse = () => assert.fail("Firefox was asked");
const unasked = { currentTime: 2, get outputLatency() { return refuse(); }, getOutputTimestamp: refuse };

test("Firefox is never asked how late its output is", () => {
  as(FIREFOX);
  assert.equal(outputLatency(unasked), 0.05);
  const late = heardAt(unasked, 2.1) - performance.now();
  assert.ok(Math.abs(late - 150) < 20, `${late}`);
});

test("other browsers are believed, within reason", () => {
  as(CHROMIUM);
  assert.equal(outputLatency({ outputLatency: 0.03 }), 0.03);
  assert.equal(outputLatency({}), 0);
  const said = (performanceTime) => ({ currentTime: 2, outputLatency: 0.03, getOutputTimestamp: () => ({ contextTime: 2, performanceTime }) });
  const now = performance.now();
  assert.equal(heardAt(said(now + 40), 2.1), now + 40 + (2.1 - 2) * 1_000);
  assert.ok(Math.abs(heardAt(said(now + 60_000), 2.1) - now - 130) < 20, "nonsense is not believed");
});

test("nobody else asks", () => {
  const folder = new URL("../../static/", import.meta.url);
  const asking = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".js") && /\.(outputLatency|getOutputTimestamp)\b/.test(readFileSync(new URL(name, folder), "utf8")));
  assert.deepEqual(asking, ["voice/output_latency.js"]);
});
