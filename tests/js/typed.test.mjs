import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { TypedChat } from "../../static/chat/typed.js";
import { initial } from "../../static/voice/call.js";

let sockets;

/** The browser's WebSocket, driven by the test: the outside door. */
class FakeSocket {
  sent = [];
  constructor() {
    sockets.push(this);
  }
  send(data) {
    this.sent.push(JSON.parse(data));
  }
  close() {}
  hear(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
  get texts() {
    return this.sent.filter((one) => one.type === "input.text").map((one) => one.text);
  }
}

/** A call as far as typing knows it: its state, whether it takes text, and its events. */
class Call extends EventTarget {
  state = initial;
  taken = [];
  sendText(text) {
    if (this.state.name !== "listening") return false;
    this.taken.push(text);
    return true;
  }
  become(name) {
    const previous = this.state;
    this.state = { ...previous, name };
    this.dispatchEvent(new CustomEvent("change", { detail: { state: this.state, previous } }));
  }
}

beforeEach(() => {
  sockets = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  globalThis.WebSocket = FakeSocket;
  globalThis.addEventListener = () => {};
});

const settled = () => new Promise((done) => setImmediate(done));

function made() {
  const call = new Call();
  const failed = [];
  const mints = [];
  const mint = async (fields) => (mints.push(fields.modality), { session_id: "s", url: "ws://x", protocol: "voice.v1", token: "t" });
  const typed = new TypedChat({ call, mint, on: { message: () => {}, ready: () => {}, failed: (what) => failed.push(what) } });
  return { call, typed, failed, mints };
}

async function connected(socket) {
  await settled();
  sockets[socket].onopen();
  sockets[socket].hear({ type: "ready", session_id: "s" });
}
const confirm = (socket, id) => sockets[socket].hear({ type: "transcript.done", role: "user", item_id: id, client_id: id, text: "x", status: "completed" });

test("a first message opens a text session and goes when it is ready", async () => {
  const { typed, mints } = made();
  typed.send("Hello", "a");
  await connected(0);
  assert.deepEqual(mints, ["text"]);
  assert.deepEqual(sockets[0].texts, ["Hello"]);
  typed.send("Again", "b");
  assert.equal(sockets.length, 1);
});

test("in a running call it goes into the call", () => {
  const { call, typed } = made();
  call.become("listening");
  typed.send("Hello", "a");
  assert.deepEqual(call.taken, ["Hello"]);
  assert.equal(sockets.length, 0);
});

test("typed while the call is being set up it waits for the call", () => {
  const { call, typed } = made();
  call.become("connecting");
  typed.send("Hello", "a");
  call.become("listening");
  assert.deepEqual(call.taken, ["Hello"]);
});

test("what a call that failed did not take goes in writing", async () => {
  const { call, typed } = made();
  call.become("connecting");
  typed.send("Hello", "a");
  call.become("error");
  await connected(0);
  assert.deepEqual(sockets[0].texts, ["Hello"]);
});

test("a message that was not confirmed is sent again after a reconnection, a confirmed one is not", async () => {
  const { typed } = made();
  typed.send("One", "a");
  await connected(0);
  confirm(0, "a");
  typed.send("Two", "b");
  sockets[0].onclose({ code: 1006 });
  mock.timers.tick(1_000);
  await connected(1);
  assert.deepEqual(sockets[1].texts, ["Two"]);
});

test("a session that fails says which messages did not go and which have no answer", async () => {
  const { typed, failed } = made();
  typed.send("One", "a");
  await connected(0);
  confirm(0, "a");
  typed.send("Two", "b");
  sockets[0].hear({ type: "error", code: "upstream.unreachable", message: "No.", retryable: true, retry_after: null });
  assert.deepEqual([failed[0].clientIds, failed[0].unanswered, failed[0].code], [["b"], ["a"], "upstream.unreachable"]);
});

test("a text session gives way to a call", async () => {
  const { call, typed } = made();
  typed.send("One", "a");
  await connected(0);
  confirm(0, "a");
  call.become("checking");
  assert.equal(sockets[0].sent.at(-1).type, "session.end");
});

test("an unused text session is closed, one with an answer on its way is not", async () => {
  const { typed } = made();
  typed.send("One", "a");
  await connected(0);
  confirm(0, "a");
  const ended = () => sockets[0].sent.some((one) => one.type === "session.end");
  for (let k = 0; k < 13; k++) {
    mock.timers.tick(5_000);
    sockets[0].hear({ type: "pong" });
  }
  assert.equal(ended(), false);
  sockets[0].hear({ type: "response.done", response_id: "r", status: "completed" });
  for (let k = 0; k < 25 && !ended(); k++) {
    mock.timers.tick(5_000);
    if (!ended()) sockets[0].hear({ type: "pong" });
  }
  assert.equal(ended(), true);
});
