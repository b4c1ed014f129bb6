// What the panel says in each state: keys of the strings with their values. Pure.

const PLAIN = { idle: "idle", checking: "checking", connecting: "connecting", hearing: "hearing", speaking: "speaking" };

/** [key, values] of the status line. */
export function statusOf(state) {
  if (state.name === "reconnecting") return state.attempt?.number ? ["reconnecting", { number: state.attempt.number, of: state.attempt.of }] : ["reconnecting_upstream", {}];
  if (state.name === "ended") return ["ended", {}];
  if (state.name === "error") return ["error", {}];
  if (state.muted && state.name === "listening") return ["muted", {}];
  if (state.talkMode && state.name === "listening") return [state.talking ? "talking" : "hold_to_talk", {}];
  if (state.name === "hearing") return [state.hint === "pause" ? "still_recording" : "hearing", {}];
  if (state.name === "thinking" && state.tool) return ["looking_up", {}];
  if (state.name === "thinking") return [state.hint ? "still_working" : "thinking", {}];
  return [PLAIN[state.name] ?? "listening", {}];
}

// What whoever talks hears without being told: a screen reader would only speak into it, and into the microphone.
const HEARD = ["hearing", "talking", "thinking", "speaking"];
const BETWEEN = ["listening", "hold_to_talk"];
const THINKING_MS = 2_000; // a silence that makes one wonder

/** After how many ms a screen reader says a status, by its key and the one before it; null: not at all. An end is told by its summary or problem. */
export function toldAfter(key, before) {
  if (key === "thinking") return THINKING_MS;
  return ["ended", "error", ...HEARD].includes(key) || (BETWEEN.includes(key) && HEARD.includes(before)) ? null : 0;
}

/** The amber strip: {key, values, text, act} or null. `text` is the server's own, where the strings have no such key. What ends soon comes first. */
export function stripOf(state, now) {
  if (state.ending) {
    const { at, mayStay } = state.ending;
    return { key: mayStay ? "ending" : "ending_anyway", values: { seconds: Math.max(0, Math.ceil((at - now) / 1_000)) }, act: mayStay ? "stay" : null };
  }
  if (state.silenced) return { key: "sound_blocked", act: "sound" };
  if (state.hint === "cancel") return { key: "takes_long", act: "interrupt" };
  if (state.slow) return { key: "slow" };
  return state.degraded && { key: state.degraded.code, text: state.degraded.message };
}

/** good, fair, poor or off. */
export function signalOf(state) {
  if (!state.ready) return state.name === "reconnecting" ? "poor" : "off";
  return state.slow ? "fair" : "good";
}

const REASONS = { person_ended: "ended_by_you", idle: "ended_idle", "session.idle": "ended_idle", time_limit: "ended_limit",
  "session.limit": "ended_limit", draining: "ended_server" };

/** Keys and values of the summary card's sentence, first the reason. */
export function summaryOf({ reason, durationMs, turns, usage }) {
  if (reason === "reloaded") return [["call_waiting", {}]];
  const parts = [[REASONS[reason] ?? "ended", {}], ["clock", { durationMs }]];
  if (turns) parts.push([turns === 1 ? "answer_one" : "answers", { count: turns }]);
  if (usage?.cost_usd) parts.push(["cost", { cost: usage.cost_usd }]);
  return parts;
}
