import assert from "node:assert/strict";
import test from "node:test";

/** What the times of a page of this language read once the module ran in a browser with these languages. */
async function shown(pages, languages, ...times) {
  const elements = times.map((dateTime) => ({ dateTime, textContent: "as the server wrote it" }));
  globalThis.document = { querySelectorAll: () => elements, documentElement: { lang: pages } };
  Object.defineProperty(globalThis, "navigator", { value: { languages }, configurable: true });
  await import(`../../static/local_time.js?${pages}${languages}`);
  return elements.map((element) => element.textContent);
}

test("times are those of the reader's clock, and dates in the way of the reader's country", async () => {
  const zone = process.env.TZ;
  process.env.TZ = "Pacific/Auckland"; // 13 hours ahead in November
  try {
    const [british] = await shown("en", ["fr", "en-GB"], "2026-11-27T20:30:00+00:00");
    assert.match(british, /^28 Nov 2026, 0?9:30$/);
    const [german] = await shown("de", ["en-US"], "2026-11-27T20:30:00+00:00");
    assert.match(german, /^28\.11\.2026, 0?9:30$/);
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});

test("a page without times is left alone", async () => {
  assert.deepEqual(await shown("en", []), []);
});
