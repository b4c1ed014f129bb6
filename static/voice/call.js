// The call as a pure state machine: (state, event, now) -> {state, effects}. No DOM, no audio, no sockets, no clock.

import { isBusy, isLive } from "./names.js";

const MIC_MS = 10_000;
const CONNECT_MS = 10_000;
const RECONNECT_MS = 60_000;
const PAUSE_HINT_MS = 60_000;
const STILL_MS = 8_000;
const CANCEL_MS = 30_000;
const ESCAPE_MS = 3_000; // a second Esc within this asks to end

/** Browser prompts wait for a person: the permission question has a longer deadline than the device. */
const PROMPT_MS = 120_000;

const PASSING = /^(answer|upstream|mic)\./;
const PHASES = new Set(["listening", "hearing", "thinking", "speaking"]);

/**
 * `name`: idle, checking, connecting, listening, hearing, thinking, speaking, reconnecting, ended or error.
 * `phase`: what the relay last said; `playing`: whether sound is heard now. `name` follows from both while live.
 * `linking`: the connection was asked for; `ready`: there is one; `pending`: it waits for the upstream. All of them may come before the microphone.
 * `deadlineAt` (ms, same clock as `now`): when to send `{type: "deadline"}`; null for none.
 */
export const initial = Object.freeze({
  name: "idle", phase: "listening", playing: false, since: 0, deadlineAt: null, hint: null, tool: null, ready: false, linking: false, pending: false,
  muted: false, talkMode: false, talking: false, slow: false, degraded: null, ending: null, silenced: false,
  attempt: null, startedAt: null, escapedAt: null, usage: null, problem: null, summary: null,
});

const only = (state, ...effects) => ({ state, effects });
const fail = (state, problem, now) =>
  only({ ...state, name: "error", since: now, deadlineAt: null, hint: null, ending: null, playing: false, ready: false, problem }, { do: "hang_up" });

function over(state, reason, summary, now) {
  const durationMs = state.startedAt === null ? 0 : now - state.startedAt;
  const ended = { ...state, name: "ended", since: now, deadlineAt: null, hint: null, ending: null, playing: false, ready: false, attempt: null };
  return only({ ...ended, summary: { reason, durationMs, usage: state.usage, ...summary } }, { do: "hang_up" });
}

/** The name and the deadline that follow from phase, playing and connection. */
function settle(state, now) {
  if (state.name === "checking") return state; // not before the microphone runs
  let name = state.phase;
  if (state.playing && state.phase !== "hearing") name = "speaking";
  else if (state.phase === "speaking") name = "thinking"; // made, not heard yet
  if (state.attempt) name = "reconnecting";
  if (name === state.name) return state;
  const within = { hearing: PAUSE_HINT_MS, thinking: STILL_MS, reconnecting: RECONNECT_MS }[name];
  return { ...state, name, since: now, deadlineAt: within ? now + within : null, hint: null, tool: name === "thinking" ? state.tool : null };
}

const handlers = {
  start(state, event, now) {
    if (isBusy(state)) return only(state);
    const { muted, talkMode } = state;
    const next = { ...initial, muted, talkMode, name: "checking", since: now, deadlineAt: now + MIC_MS };
    return only(next, { do: "open_microphone" });
  },
  // The page was reloaded in the middle of a call that the relay still keeps.
  resumable: (state) => only(state.name === "idle" ? { ...state, name: "ended", summary: { reason: "reloaded", durationMs: 0 } } : state),
  // The browser is asking the person: ten seconds would be a deadline for the person, not for the device.
  "mic.asking": (state, event, now) => only(state.name === "checking" ? { ...state, deadlineAt: now + PROMPT_MS } : state),
  // Nobody will be asked: the connection is made while the device opens.
  "mic.granted": (state) => (state.name === "checking" && !state.linking ? only({ ...state, linking: true }, { do: "connect" }) : only(state)),
  "mic.ready"(state, event, now) {
    if (state.name !== "checking") return only(state);
    const next = { ...state, name: "connecting", since: now, deadlineAt: now + CONNECT_MS, linking: true };
    if (!state.linking) return only(next, { do: "connect" });
    return only(state.ready && !state.pending ? settle({ ...next, startedAt: state.startedAt ?? now }, now) : next);
  },
  "mic.failed": (state, event, now) => (isBusy(state) ? fail(state, { code: event.code }, now) : only(state)),
  "sound.blocked": (state) => only(isBusy(state) ? { ...state, silenced: true } : state),
  "sound.running": (state) => only({ ...state, silenced: false }),

  "link.ready"(state, event, now) {
    if (!isBusy(state)) return only(state);
    const fresh = { ...state, ready: true, attempt: null, startedAt: state.startedAt ?? now - (event.elapsedMs ?? 0), degraded: event.degraded ?? state.degraded };
    const phase = PHASES.has(event.state) ? event.state : "listening";
    const upstreamPending = event.state === "connecting" || event.state === "reconnecting";
    if (upstreamPending && !isLive(state)) return only({ ...fresh, pending: true, deadlineAt: state.name === "checking" ? state.deadlineAt : now + CONNECT_MS });
    return only(settle({ ...fresh, phase, pending: false, attempt: upstreamPending ? { number: 0, of: 0 } : null }, now));
  },
  "link.lost"(state, event, now) {
    if (!isBusy(state)) return only(state);
    if (!isLive(state)) return only(state); // still the first connection: its own deadline runs
    return only(settle({ ...state, ready: false, attempt: { number: event.attempt, of: event.of } }, now));
  },
  "link.over"(state, event, now) {
    if (state.name === "ended" && event.summary) return only({ ...state, summary: { ...state.summary, ...event.summary } });
    if (!isBusy(state)) return only(state);
    if (event.reason === "over") return over(state, event.code, event.summary, now);
    return fail(state, { code: event.code, message: event.message, retryAfterMs: event.retryAfterMs ?? null }, now);
  },
  "link.slow": (state, event) => only(state.slow === event.on ? state : { ...state, slow: event.on }),

  "relay.state"(state, event, now) {
    if (!isBusy(state)) return only(state);
    if (event.state === "reconnecting") return only(isLive(state) ? settle({ ...state, attempt: { number: 0, of: 0 } }, now) : state);
    if (!PHASES.has(event.state)) return only(state);
    return only(settle({ ...state, phase: event.state, pending: false, attempt: state.ready ? null : state.attempt, ending: null }, now));
  },
  // What is shown while the call goes on, such as another microphone or an answer that the rules forbid.
  notice: (state, event) => only(isLive(state) ? { ...state, degraded: { code: event.code } } : state),
  "relay.tool": (state, event) => only({ ...state, tool: event.status === "running" ? event.name : null }),
  "relay.usage": (state, event) => only({ ...state, usage: event.usage }),
  "relay.warning"(state, event, now) {
    if (event.code === "session.ending") return only({ ...state, ending: { at: now + event.ends_in_ms, mayStay: event.cause !== "limit" } });
    if (event.code === "session.stay") return only({ ...state, ending: null });
    return only({ ...state, degraded: { code: event.code, message: event.message } });
  },
  // What ends the connection is told again by its close; what does not is shown while the call goes on.
  "relay.error": (state, event) => only(isLive(state) ? { ...state, degraded: { code: event.code, message: event.message } } : state),
  // A new answer: what went wrong with the last one is past. What concerns the whole call stays.
  "relay.answering": (state) => only(PASSING.test(state.degraded?.code ?? "") ? { ...state, degraded: null } : state),
  "playout.started": (state, event, now) => only(isLive(state) || state.ready ? settle({ ...state, playing: true }, now) : state),
  "playout.stopped"(state, event, now) {
    if (!isLive(state) && !state.ready) return only(state);
    const phase = state.phase === "speaking" ? "listening" : state.phase;
    return only(settle({ ...state, playing: false, phase }, now));
  },

  mute(state) {
    const muted = !state.muted;
    return only({ ...state, muted }, { do: "send", message: { type: "session.configure", muted } });
  },
  "talk.mode"(state, event) {
    if (event.on === state.talkMode) return only(state);
    return only({ ...state, talkMode: event.on, talking: false }, { do: "configure_turns" });
  },
  "talk.down"(state) {
    if (!state.talkMode || state.talking || !isLive(state)) return only(state);
    const effects = [{ do: "begin_talk" }];
    if (state.playing || state.phase === "thinking") effects.unshift({ do: "interrupt" });
    return only({ ...state, talking: true }, ...effects);
  },
  "talk.up": (state) => (state.talking ? only({ ...state, talking: false }, { do: "commit_talk" }) : only(state)),
  interrupt(state, event, now) {
    if (!state.playing && state.phase !== "thinking" && state.phase !== "speaking") return only(state);
    const phase = state.phase === "hearing" ? "hearing" : "listening";
    return only(settle({ ...state, playing: false, phase }, now), { do: "interrupt" });
  },
  escape(state, event, now) {
    if (!isBusy(state)) return only(state);
    if (state.escapedAt !== null && now - state.escapedAt < ESCAPE_MS) return handlers.end(state, event, now);
    const { state: next, effects } = handlers.interrupt(state, event, now);
    return only({ ...next, escapedAt: now }, ...effects);
  },
  // Any message of a person's counts as a sign of life; this one changes nothing else.
  stay: (state) => only({ ...state, ending: null }, { do: "send", message: { type: "session.configure", muted: state.muted } }),
  end: (state, event, now) => (isBusy(state) ? over(state, "person_ended", null, now) : only(state)),
  dismiss: (state) => only(isBusy(state) ? state : { ...initial, muted: state.muted, talkMode: state.talkMode }),

  deadline(state, event, now) {
    if (state.deadlineAt === null || now < state.deadlineAt) return only(state);
    const quiet = { ...state, deadlineAt: null };
    switch (state.name) {
      case "checking": return fail(quiet, { code: "mic.timeout" }, now);
      case "connecting": return fail(quiet, { code: "connect.timeout" }, now);
      case "reconnecting": return fail(quiet, { code: "net.lost" }, now);
      case "hearing": return only({ ...quiet, hint: "pause" });
      case "thinking":
        if (state.hint === null) return only({ ...state, hint: "still", deadlineAt: state.since + CANCEL_MS });
        return only({ ...quiet, hint: "cancel" });
      default: return only(quiet);
    }
  },
};

/** Events that nobody knows change nothing. */
export function reduce(state, event, now) {
  return handlers[event.type]?.(state, event, now) ?? only(state);
}
