import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { RelayLink } from "../../static/voice/socket.js";

let sockets;
let now;

/** The browser's WebSocket, driven by the test: the outside door. */
class FakeSocket {
  static OPEN = 1;
  readyState = 0;
  sent = [];
  bufferedAmount = 0;
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    sockets.push(this);
  }
  send(data) {
    this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
  }
  close() {
    this.closed = true;
    this.readyState = 2;
  }
  open() {
    this.readyState = 1;
    this.onopen();
  }
  hear(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
  lose(code = 1006) {
    this.readyState = 3;
    this.onclose({ code });
  }
}

beforeEach(() => {
  sockets = [];
  now = 0;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  mock.method(performance, "now", () => now);
  mock.method(Math, "random", () => 1);
  globalThis.WebSocket = FakeSocket;
});

const settled = () => new Promise((done) => setImmediate(done));
const pass = (ms) => {
  now += ms;
  mock.timers.tick(ms);
  return settled();
};

/** A link with a record of all it told, its mints answered by `answers` (the last one again and again). */
function made(...answers) {
  const told = [];
  const mints = [];
  const note = (kind) => (detail) => told.push([kind, detail]);
  const link = new RelayLink({
    mint: async (resume) => {
      mints.push(resume);
      const answer = answers[Math.min(mints.length, answers.length) - 1] ?? { session_id: "s1" };
      if (answer instanceof Error) throw answer;
      return { url: "ws://x/ws/realtime/", protocol: "voice.v1", token: `t${mints.length}`, ...answer };
    },
    hello: () => ({ played: null, received: null, uplink_samples: 7, client: {} }),
    on: Object.fromEntries(["minted", "opened", "ready", "message", "audio", "lost", "over"].map((kind) => [kind, note(kind)])),
  });
  return { link, mints, kinds: () => told.map(([kind]) => kind), last: (kind) => told.findLast(([one]) => one === kind)?.[1] };
}

async function live(...answers) {
  const all = made(...answers);
  all.link.open();
  await settled();
  sockets[0].open();
  sockets[0].hear({ type: "ready", session_id: "s1", uplink_samples: 0 });
  return all;
}

test("the token goes into the subprotocol and hello comes first", async () => {
  const { link } = await live();
  assert.deepEqual(sockets[0].protocols, ["voice.v1", "t.t1"]);
  assert.deepEqual(sockets[0].sent[0], { type: "hello", played: null, received: null, uplink_samples: 7, client: {} });
  assert.equal(link.isReady, true);
});

test("nothing is sent before the relay is ready, and nothing empty ever", async () => {
  const { link } = made();
  link.open();
  await settled();
  sockets[0].open();
  assert.equal(link.send({ type: "interrupt" }), false);
  link.sendAudio(new Int16Array(10));
  sockets[0].hear({ type: "ready" });
  link.sendAudio(new Int16Array(0));
  assert.deepEqual(sockets[0].sent.map((message) => message.type), ["hello", "ping"]);
});

test("nothing is sent on a socket that is closing", async () => {
  const { link } = await live();
  const before = sockets[0].sent.length;
  sockets[0].readyState = 2; // cut, and its close event is still to come
  assert.equal(link.send({ type: "interrupt" }), false);
  link.sendAudio(new Int16Array(10));
  assert.equal(sockets[0].sent.length, before);
});

test("a new connection pings until it knows the relay's clock, then with each heartbeat", async () => {
  const { link } = await live();
  const pings = () => sockets[0].sent.filter((message) => message.type === "ping");
  for (let k = 1; k <= 12; k++) {
    assert.equal(pings().length, k);
    const { t } = pings().at(-1);
    now += 10;
    sockets[0].hear({ type: "pong", t, now: t + 5 + 1_000 });
  }
  assert.equal(pings().length, 12);
  assert.equal(pings()[0].rtt_ms, undefined);
  assert.equal(pings()[4].rtt_ms, 10);
  assert.equal(link.clock.ofRelay(500), 1_500);
  await pass(5_000);
  assert.equal(pings().length, 13);
});

test("the end of a session is not taken for the end of the call that follows at once", async () => {
  const { link, kinds } = await live();
  link.close();
  link.forget();
  sockets[0].hear({ type: "ended", reason: "person_ended", summary: { duration_ms: 5, turns: 0, interruptions: 0 } });
  sockets[0].close(1000);
  await pass(3_000);
  assert.ok(!kinds().includes("over"));
});

test("a lost connection is taken up again with the same session", async () => {
  const { mints, last } = await live();
  sockets[0].lose();
  assert.deepEqual(last("lost"), { attempt: 1, of: 8, waitMs: 500 });
  await pass(499);
  assert.equal(sockets.length, 1);
  await pass(1);
  assert.deepEqual(mints, [null, "s1"]);
  assert.equal(sockets.length, 2);
});

test("what an old socket still has to say is not heard", async () => {
  const { kinds } = await live();
  sockets[0].lose();
  await pass(500);
  const before = kinds().length;
  sockets[0].hear({ type: "state", state: "speaking" });
  sockets[0].lose();
  assert.equal(kinds().length, before);
});

test("silence means that the connection is dead, whatever the socket says", async () => {
  const { kinds } = await live();
  await pass(5_000);
  assert.deepEqual(sockets[0].sent.at(-1), { type: "ping", t: 5_000 });
  sockets[0].hear({ type: "pong", t: 5_000, now: 5_000 });
  await pass(5_000);
  await pass(5_000);
  assert.equal(kinds().includes("lost"), false);
  await pass(5_000);
  assert.equal(kinds().at(-1), "lost");
  assert.equal(sockets[0].closed, true);
});

test("connections that die young do not start the count of tries anew", async () => {
  const { last } = await live();
  for (let k = 0; k < 3; k++) {
    sockets.at(-1).lose();
    await pass(last("lost").waitMs);
    sockets.at(-1).open();
    sockets.at(-1).hear({ type: "ready" });
    await pass(1_000);
  }
  sockets.at(-1).lose();
  assert.equal(last("lost").attempt, 4);
  await pass(last("lost").waitMs);
  sockets.at(-1).open();
  sockets.at(-1).hear({ type: "ready" });
  for (let k = 0; k < 2; k++) {
    await pass(3_000);
    sockets.at(-1).hear({ type: "pong" });
  }
  sockets.at(-1).lose();
  assert.equal(last("lost").attempt, 1);
});

test("a refusal says why, at once", async () => {
  const { link, last } = made(Object.assign(new Error("Spent."), { code: "quota", status: 429, retryAfterMs: 60_000 }));
  link.open();
  await settled();
  assert.deepEqual(last("over"), { code: "quota", reason: "stop", message: "Spent.", retryAfterMs: 60_000 });
});

test("an end that must not be retried carries the error that came before it", async () => {
  const { last } = await live();
  sockets[0].hear({ type: "error", code: "upstream.auth", message: "No.", retryable: false, retry_after: null });
  sockets[0].hear({ type: "ended", reason: "upstream_auth", summary: { duration_ms: 5, turns: 0, interruptions: 0 } });
  sockets[0].lose(4502);
  assert.equal(last("over").code, "upstream.auth");
  assert.equal(last("over").reason, "stop");
});

test("a page that was let go because it was silent comes back, one whose call was idle does not", async () => {
  const slept = await live();
  sockets[0].lose(4408);
  assert.equal(slept.last("lost").attempt, 1);
  const idle = await live();
  sockets.at(-1).open();
  sockets.at(-1).hear({ type: "ready", session_id: "s1", uplink_samples: 0 });
  sockets.at(-1).hear({ type: "ended", reason: "idle", summary: {} });
  sockets.at(-1).lose(4408);
  assert.equal(idle.last("over").code, "idle");
});

test("a server that goes down is left and come back to", async () => {
  const { last } = await live();
  sockets[0].hear({ type: "ended", reason: "draining", summary: {} });
  sockets[0].lose(4503);
  assert.equal(last("lost").attempt, 1);
});

test("hanging up tells the relay and hears how the session was, nothing else", async () => {
  const { link, last, kinds } = await live();
  link.close();
  assert.deepEqual(sockets[0].sent.at(-1), { type: "session.end" });
  sockets[0].hear({ type: "state", state: "speaking" });
  sockets[0].hear({ type: "ended", reason: "person_ended", summary: { turns: 3 } });
  sockets[0].lose(1000);
  assert.deepEqual(last("over"), { code: "person_ended", reason: "over", message: undefined, retryAfterMs: null, summary: { turns: 3 } });
  assert.equal(kinds().includes("message"), false);
});

test("a relay that does not answer the end is not waited for", async () => {
  const { link } = await live();
  link.close();
  await pass(2_000);
  assert.equal(sockets[0].closed, true);
  assert.equal(link.isOpen, false);
});

test("back online it tries at once", async () => {
  const { link } = await live();
  sockets[0].lose();
  link.hurry();
  await settled();
  assert.equal(sockets.length, 2);
});

test("a socket that never opens is given up for another", async () => {
  const { link, kinds } = made();
  link.open();
  await settled();
  await pass(10_000);
  assert.equal(kinds().at(-1), "lost");
});
