import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { initial, reduce } from "../../static/voice/call.js";
import { isBusy, isLive } from "../../static/voice/names.js";
import { describe } from "../../static/voice/problems.js";
import { signalOf, statusOf, stripOf, summaryOf } from "../../static/voice/status.js";

/** A call that is told events one after another; `events` are [type, fields, now] or just a type. */
function play(...events) {
  let state = initial;
  let now = 0;
  const effects = [];
  for (const event of events) {
    const [type, fields = {}, at = now] = [event].flat();
    now = at;
    const step = reduce(state, { type, ...fields }, now);
    state = step.state;
    effects.push(...step.effects.map((effect) => effect.do));
  }
  return { state, effects };
}
const LIVE = ["start", "mic.ready", ["link.ready", { state: "listening" }]];

test("a press checks the microphone, connects, listens", () => {
  assert.equal(play("start").state.name, "checking");
  assert.equal(play("start", "mic.ready").state.name, "connecting");
  assert.equal(play(...LIVE).state.name, "listening");
  assert.deepEqual(play(...LIVE).effects, ["open_microphone", "connect"]);
});

test("with the permission granted the connection is made while the microphone opens", () => {
  assert.deepEqual(play("start", "mic.granted", "mic.granted", "mic.ready").effects, ["open_microphone", "connect"]);
  assert.equal(play("start", "mic.granted", "mic.ready").state.name, "connecting");
  const linked = ["start", "mic.granted", ["link.ready", { state: "listening" }, 80]];
  assert.equal(play(...linked).state.name, "checking", "nobody is listened to before the microphone runs");
  assert.equal(play(...linked, ["mic.ready", {}, 120]).state.name, "listening");
  assert.equal(play(...linked, ["deadline", {}, 10_000]).state.problem.code, "mic.timeout");
  const failed = play(...linked, ["mic.failed", { code: "mic.missing" }, 90]);
  assert.deepEqual([failed.state.problem.code, failed.effects.at(-1)], ["mic.missing", "hang_up"]);
});

test("a connection that still waits for the upstream is no call yet when the microphone runs", () => {
  const waiting = ["start", "mic.granted", ["link.ready", { state: "connecting" }, 80], ["mic.ready", {}, 120]];
  assert.equal(play(...waiting).state.name, "connecting");
  assert.equal(play(...waiting, ["relay.state", { state: "listening" }]).state.name, "listening");
  const sooner = ["start", "mic.granted", ["link.ready", { state: "connecting" }, 80], ["relay.state", { state: "listening" }, 90]];
  assert.equal(play(...sooner).state.name, "checking");
  assert.equal(play(...sooner, "mic.ready").state.name, "listening");
});

test("an answer that goes on after a reload before the microphone runs is speaking", () => {
  const resumed = ["start", "mic.granted", ["link.ready", { state: "speaking", elapsedMs: 5_000 }, 80], "playout.started"];
  assert.equal(play(...resumed).state.name, "checking");
  assert.equal(play(...resumed, "mic.ready").state.name, "speaking");
  assert.equal(play(...resumed, "mic.ready").state.startedAt, 80 - 5_000);
});

test("a second press while starting does nothing", () => {
  assert.deepEqual(play("start", "start").effects, ["open_microphone"]);
});

test("every state that should pass has its deadline", () => {
  const after = (events, ms) => play(...events, ["deadline", {}, ms]).state;
  assert.equal(after(["start"], 10_000).problem.code, "mic.timeout");
  assert.equal(after(["start", "mic.ready"], 10_000).problem.code, "connect.timeout");
  assert.equal(after([...LIVE, ["relay.state", { state: "hearing" }]], 60_000).hint, "pause");
  assert.equal(after([...LIVE, ["relay.state", { state: "thinking" }]], 8_000).hint, "still");
  assert.equal(after([...LIVE, ["link.lost", { attempt: 1, of: 8 }]], 60_000).problem.code, "net.lost");
  const thinking = [...LIVE, ["relay.state", { state: "thinking" }], ["deadline", {}, 8_000]];
  assert.equal(after(thinking, 30_000).hint, "cancel");
  assert.equal(after(thinking, 29_999).hint, "still");
});

test("a deadline that comes early changes nothing", () => {
  assert.equal(play("start", ["deadline", {}, 9_999]).state.name, "checking");
});

test("the browser's question gives a person more time than a device", () => {
  assert.equal(play("start", "mic.asking", ["deadline", {}, 30_000]).state.name, "checking");
});

test("it is speaking when sound is heard, not when it is made", () => {
  const made = [...LIVE, ["relay.state", { state: "thinking" }], ["relay.state", { state: "speaking" }]];
  assert.equal(play(...made).state.name, "thinking");
  assert.equal(play(...made, "playout.started").state.name, "speaking");
  assert.equal(play(...made, "playout.started", ["relay.state", { state: "listening" }]).state.name, "speaking");
  assert.equal(play(...made, "playout.started", "playout.stopped").state.name, "listening");
});

test("a person who talks over the answer is heard", () => {
  const speaking = [...LIVE, ["relay.state", { state: "speaking" }], "playout.started"];
  assert.equal(play(...speaking, ["relay.state", { state: "hearing" }]).state.name, "hearing");
});

test("an interruption stops the sound at once", () => {
  const { state, effects } = play(...LIVE, ["relay.state", { state: "speaking" }], "playout.started", "interrupt");
  assert.equal(state.name, "listening");
  assert.equal(effects.at(-1), "interrupt");
});

test("an interruption of nothing is nothing", () => {
  assert.deepEqual(play(...LIVE, "interrupt").effects, ["open_microphone", "connect"]);
});

test("Escape interrupts, a second one soon after ends", () => {
  const speaking = [...LIVE, ["relay.state", { state: "speaking" }], "playout.started", ["escape", {}, 1_000]];
  assert.equal(play(...speaking).state.name, "listening");
  assert.equal(play(...speaking, ["escape", {}, 2_000]).state.name, "ended");
  assert.equal(play(...speaking, ["escape", {}, 9_000]).state.name, "listening");
});

test("a lost connection is told with its try, and mended", () => {
  const lost = [...LIVE, ["link.lost", { attempt: 2, of: 8 }]];
  assert.deepEqual(statusOf(play(...lost).state), ["reconnecting", { number: 2, of: 8 }]);
  assert.equal(signalOf(play(...lost).state), "poor");
  assert.equal(play(...lost, ["link.ready", { state: "speaking" }], "playout.started").state.name, "speaking");
});

test("losing the very first connection does not put off its deadline", () => {
  const { state } = play("start", "mic.ready", ["link.lost", { attempt: 1, of: 8 }, 5_000]);
  assert.equal(state.name, "connecting");
  assert.equal(state.deadlineAt, 10_000);
});

test("a reconnecting upstream is told, and the page's connection does not hide it", () => {
  const gone = [...LIVE, ["relay.state", { state: "reconnecting" }]];
  assert.deepEqual(statusOf(play(...gone).state), ["reconnecting_upstream", {}]);
  assert.equal(play(...gone, ["relay.state", { state: "listening" }]).state.name, "listening");
});

test("whatever goes wrong ends with everything let go", () => {
  for (const events of [
    ["start", ["mic.failed", { code: "mic.denied" }]],
    [...LIVE, ["mic.failed", { code: "mic.missing" }]],
    ["start", "mic.ready", ["link.over", { reason: "stop", code: "upstream.auth" }]],
  ]) {
    const { state, effects } = play(...events);
    assert.equal(state.name, "error");
    assert.equal(effects.at(-1), "hang_up");
    assert.equal(state.deadlineAt, null);
  }
});

test("late events of a call that is over change nothing", () => {
  const over = play(...LIVE, "end").state;
  for (const type of ["mic.ready", "mic.failed", "link.ready", "link.lost", "playout.started", "playout.stopped", "relay.state", "deadline", "end"])
    assert.equal(reduce(over, { type, state: "speaking" }, 1_000).state, over, type);
});

test("the summary has the length, and gets the relay's figures when they come", () => {
  const end = [...LIVE, ["end", {}, 252_000]];
  assert.equal(play(...end).state.summary.durationMs, 252_000);
  const { state } = play(...end, ["link.over", { reason: "over", code: "person_ended", summary: { durationMs: 251_900, turns: 18 } }]);
  assert.deepEqual(summaryOf(state.summary).map(([key]) => key), ["ended_by_you", "clock", "answers"]);
});

test("being muted and push-to-talk outlast a call", () => {
  const { state } = play(...LIVE, "mute", ["talk.mode", { on: true }], "end", "start");
  assert.equal(state.muted, true);
  assert.equal(state.talkMode, true);
});

test("holding the button over an answer interrupts it first", () => {
  const { effects } = play(...LIVE, ["talk.mode", { on: true }], ["relay.state", { state: "speaking" }], "playout.started", "talk.down", "talk.up", "talk.up");
  assert.deepEqual(effects.slice(-3), ["interrupt", "begin_talk", "commit_talk"]);
});

test("a call that ends soon says so, and staying takes it back", () => {
  const ending = [...LIVE, ["relay.warning", { code: "session.ending", ends_in_ms: 30_000 }]];
  assert.deepEqual(stripOf(play(...ending).state, 12_000).values, { seconds: 18 });
  assert.equal(stripOf(play(...ending).state, 12_000).act, "stay");
  assert.equal(stripOf(play(...LIVE, ["relay.warning", { code: "session.ending", ends_in_ms: 30_000, cause: "limit" }]).state, 0).act, null);
  assert.equal(stripOf(play(...ending, "stay").state, 12_000), null);
  assert.equal(stripOf(play(...ending, ["relay.warning", { code: "session.stay" }]).state, 12_000), null);
});

test("what concerns the whole call stays shown, what concerned one answer goes with the next", () => {
  const warned = (code) => play(...LIVE, ["relay.warning", { code, message: "A sentence." }], "relay.answering").state.degraded;
  assert.equal(warned("answer.slow"), null);
  assert.equal(warned("journal.behind").message, "A sentence.");
});

test("an answer that takes long can be cancelled, and one that the rules forbid says so", () => {
  const long = play(...LIVE, ["relay.state", { state: "thinking" }, 1_000], ["deadline", {}, 9_000]);
  assert.deepEqual(statusOf(long.state), ["still_working", {}]);
  assert.equal(stripOf(long.state, 9_000), null);
  const longer = play(...LIVE, ["relay.state", { state: "thinking" }, 1_000], ["deadline", {}, 9_000], ["deadline", {}, 31_000]);
  assert.deepEqual(stripOf(longer.state, 31_000), { key: "takes_long", act: "interrupt" });
  const forbidden = play(...LIVE, ["notice", { code: "answer.policy" }]);
  assert.equal(stripOf(forbidden.state, 0).key, "answer.policy");
  assert.equal(stripOf(reduce(forbidden.state, { type: "relay.answering" }, 1).state, 1), null);
});

test("what passes by itself says when, and what does not offers what helps", () => {
  assert.deepEqual(describe({ code: "upstream.rate_limited" }).key, "upstream_busy");
  assert.deepEqual(describe({ code: "upstream.rate_limited", retryAfterMs: 11_400 }).values, { seconds: 12 });
  assert.deepEqual(describe({ code: "upstream.rate_limited", retryAfterMs: 11_400 }).key, "upstream_limit");
  assert.deepEqual([describe({ code: "limit.budget", retryAfterMs: 9_000_000 })].map(({ key, action }) => [key, action]), [["quota_until", "usage"]]);
});

test("busy is what shows controls, live is what can be talked to", () => {
  assert.deepEqual([isBusy(play("start").state), isLive(play("start").state)], [true, false]);
  assert.deepEqual([isBusy(play(...LIVE).state), isLive(play(...LIVE).state)], [true, true]);
  assert.equal(isBusy(play(...LIVE, "end").state), false);
});

test("every text that the modules name is in the page's catalogue, and none is there for nothing", () => {
  const catalogue = readFileSync(new URL("../../templates/parts/strings.html", import.meta.url), "utf8");
  const keys = [...catalogue.matchAll(/^"(\w+)":/gm)].map((match) => match[1]);
  const text = ["voice", "chat"].flatMap((folder) => {
    const place = new URL(`../../static/${folder}/`, import.meta.url);
    return readdirSync(place).filter((name) => name.endsWith(".js")).map((name) => readFileSync(new URL(name, place), "utf8"));
  }).join(" ");
  for (const key of keys) assert.ok(new RegExp(`["\`]${key}["\`]|${key}:`).test(text) || /^(signal|act)_/.test(key), `nobody says ${key}`);
  const named = [...text.matchAll(/\bt\("(\w+)"/g)].map((match) => match[1]);
  for (const key of named) assert.ok(keys.includes(key), `${key} is not in the catalogue`);
  for (const code of ["mic.denied", "mic.missing", "mic.busy", "mic.timeout", "mic.unsupported", "audio.blocked", "auth.expired", "quota", "upstream.auth",
    "upstream.unreachable", "upstream.timeout", "upstream.lost", "connect.timeout", "net.lost", "session.superseded", "bad_message", "never heard of"]) {
    const { key, actionKey } = describe({ code });
    assert.ok(keys.includes(key), `${code}: ${key}`);
    assert.ok(actionKey === null || keys.includes(actionKey), `${code}: ${actionKey}`);
  }
});
