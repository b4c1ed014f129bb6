// What to do when a connection ends, and when to try again. Pure: time and chance are arguments.

const BASE_MS = 500;
const CAP_MS = 30_000;
export const MOST_TRIES = 8;
export const GRACE_MS = 60_000; // as long as the relay keeps the session
const TRY_MS = 2_000; // what a try itself takes

// "again": mint and reconnect. "over": the session ended in an ordinary way. "stop": it must not be tried again.
const VERDICTS = {
  1000: "over", 4400: "stop", 4403: "stop", 4408: "over", 4409: "stop", 4413: "stop", 4429: "stop", 4440: "over",
  4500: "again", 4502: "stop", 4503: "again", 4504: "again", 4508: "again",
};

/**
 * `retryAfterMs`: from the `error` before the close, or null. `hasEnded`: the relay said that the session is over. Codes of servers
 * and proxies (1006, 1011 ...) mean again.
 */
export function verdict(closeCode, retryAfterMs = null, hasEnded = true) {
  if (closeCode === 4408 && !hasEnded) return "again"; // no sign of life from here, as during a sleep: the relay keeps the session
  if (closeCode === 4502 && retryAfterMs !== null) return "again";
  return VERDICTS[closeCode] ?? "again";
}

const CODE_OF = { 4400: "bad_message", 4403: "session.revoked", 4408: "session.idle", 4409: "session.superseded", 4413: "bad_message",
  4429: "quota", 4440: "session.limit", 4502: "upstream.lost" };

// 4403 is said of each of these, too: the login is as good as before.
const ENDS = { operator: "session.operator", conversation_deleted: "session.deleted" };

/** The problem a close code stands for when no `error` said more. `reason`: that of the relay's `ended`, if it said one. */
export const problemOf = (closeCode, reason = null) => ENDS[reason] ?? CODE_OF[closeCode] ?? "net.lost";

/**
 * Milliseconds to wait before try number `attempt` (from 1), or null when it is time to give up.
 * `chance` is 0 to 1 (full jitter); a `retryAfterMs` that the other side asked for is honoured. The last try comes late in the
 * grace: eight short waits in a row would give up during an outage that the relay still waits for.
 */
export function waitBefore({ attempt, elapsedMs, chance, retryAfterMs = null }) {
  const left = GRACE_MS - TRY_MS - elapsedMs;
  const asked = retryAfterMs ?? 0;
  if (attempt > MOST_TRIES || left <= 0 || asked > left) return null;
  const wait = attempt === MOST_TRIES ? left * (1 + chance) / 2 : chance * Math.min(CAP_MS, BASE_MS * 2 ** (attempt - 1));
  return Math.max(asked, Math.min(wait, left));
}
