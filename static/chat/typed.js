// Typed messages on their way: into the running call, else over a text session that is opened when needed. No DOM. Loaded with the first letter.

import { t } from "../strings.js";
import { isBusy, isLive } from "../voice/names.js";
import { describe } from "../voice/problems.js";
import { RelayLink } from "../voice/socket.js";

const ONE_MESSAGE = /^upstream\.(answer_failed|message_refused)$/; // what is on its way behind it goes on
const IDLE_MS = 60_000; // a text session that nobody uses is closed

/** `on`: `message(object)`, `ready(message)`, `failed({clientIds, unanswered, code, message, retryAfterMs})`. */
export class TypedChat {
  #call;
  #on;
  #link;
  #unsent = new Map(); // client id -> text: not yet confirmed by the relay, so sent again after a reconnection
  #awaiting = new Set(); // confirmed, but not answered
  #idleTimer = null;

  constructor({ call, mint, on }) {
    this.#call = call;
    this.#on = on;
    this.#link = new RelayLink({
      mint: (resume) => mint({ modality: "text", resume_session_id: resume }),
      hello: () => ({ played: null, received: null, uplink_samples: 0, client: {} }),
      on: {
        ready: (message) => (on.ready(message), this.#flush()),
        message: (message) => this.take(message),
        over: (how) => this.#over(how),
      },
    });
    call.addEventListener("change", ({ detail }) => this.#callChanged(detail));
    call.addEventListener("relay", ({ detail }) => this.#note(detail));
    addEventListener("online", () => this.#link.hurry());
  }

  configure(change) {
    if (this.#link.isReady) this.#link.send({ type: "session.configure", ...change });
  }

  send(text, clientId) {
    this.#unsent.set(clientId, text);
    this.#flush();
  }

  /** A message of the text session. */
  take(message) {
    this.#note(message);
    this.#on.message(message);
    this.#restIn(IDLE_MS);
  }

  #note(message) {
    if (message.type === "transcript.done" && message.role === "user" && this.#unsent.delete(message.client_id)) this.#awaiting.add(message.client_id);
    if (message.type === "response.done" && message.status !== "failed") this.#awaiting.clear();
    if (message.type === "error") this.#fail(message.code, message.message);
    if (message.type === "ready") this.#flush();
  }

  #flush() {
    if (!this.#unsent.size) return;
    if (isBusy(this.#call.state)) {
      for (const [clientId, text] of this.#unsent) this.#call.sendText(text, clientId);
    } else if (!this.#link.isOpen) this.#link.open();
    else if (this.#link.isReady) for (const [clientId, text] of this.#unsent) this.#link.send({ type: "input.text", text, client_id: clientId });
  }

  #callChanged({ state, previous }) {
    if (isBusy(state) && !isBusy(previous) && this.#link.isOpen) this.#link.close(); // one session at a time
    if (isLive(state) && !isLive(previous)) this.#flush();
    if (isBusy(previous) && !isBusy(state)) this.#flush(); // what the call did not take goes in writing
  }

  #over({ code, message, reason, retryAfterMs }) {
    clearTimeout(this.#idleTimer);
    if (reason === "stop") this.#fail(code, message, retryAfterMs);
    else if (this.#unsent.size) this.#flush();
  }

  #fail(code, message, retryAfterMs = null) {
    const problem = { code, message, retryAfterMs };
    const [clientIds, unanswered] = [[...this.#unsent.keys()], [...this.#awaiting]];
    this.#awaiting.clear();
    if (!this.#link.isReady || !ONE_MESSAGE.test(code)) this.#unsent.clear();
    if (clientIds.length || unanswered.length) this.#on.failed({ clientIds, unanswered, ...problem });
  }

  #restIn(ms) {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => (this.#unsent.size || this.#awaiting.size ? this.#restIn(ms) : this.#link.close()), ms);
  }
}

export default class extends TypedChat {
  /** `page`: see main.js. */
  constructor({ call, mint, messages, hear }) {
    const failed = ({ clientIds, unanswered, ...problem }) => {
      const { key, values, text } = describe(problem);
      const why = text ?? t(key, values);
      for (const id of clientIds) messages.mark(id, "failed", why);
      for (const id of unanswered) messages.mark(id, "unanswered", why);
    };
    super({ call, mint, on: { failed, message: (message) => hear(message, "text"), ready: ({ session_id: session }) => messages.startSession(session) } });
  }
}
