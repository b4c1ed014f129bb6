// Each problem's sentence (a key of the strings) and its one action. Pure.

const BAD = ["bad_message", "reload"];
const QUOTA = ["quota", "usage"];
const OURS = ["upstream_auth", null];

/** Actions: "again" (where none is named) start anew, "later" the same when the wait is over, "sound" let sound play, "text" go on in writing, "usage" see what was used, "sign_in", "reload", or null. */
const PROBLEMS = {
  "mic.denied": ["mic_denied"],
  "mic.missing": ["mic_missing"],
  "mic.busy": ["mic_busy"],
  "mic.timeout": ["mic_timeout"],
  "mic.unsupported": ["mic_unsupported", "text"],
  "audio.blocked": ["sound_blocked", "sound"],
  "auth.expired": ["auth_expired", "sign_in"],
  "token.used": ["token_expired"],
  "token.expired": ["token_expired"],
  quota: QUOTA,
  budget: QUOTA,
  "limit.budget": QUOTA,
  "limit.sessions": ["other_calls"],
  "limit.chats": ["other_chats"],
  "voice.disabled": OURS,
  "voice.not_configured": OURS,
  "busy.global": ["busy_global", "later"],
  "busy.memory": ["busy_global", "later"],
  "busy.chats": ["busy_chats", "later"],
  "upstream.auth": OURS,
  "upstream.config": OURS,
  "upstream.quota": OURS,
  "upstream.untrusted": OURS,
  "origin.refused": OURS,
  "limit.price_unknown": OURS,
  "busy.disk": OURS,
  "storage.stuck": ["upstream_auth"],
  draining: ["upstream_unreachable"],
  internal: ["unknown"],
  "upstream.unreachable": ["upstream_unreachable"],
  "upstream.timeout": ["upstream_unreachable"],
  "upstream.rate_limited": ["upstream_busy", "later"],
  "upstream.answer_failed": ["upstream.answer_failed"],
  "upstream.message_refused": ["upstream.message_refused"],
  "upstream.lost": ["upstream_lost"],
  "upstream.failed": ["upstream_lost"],
  "connect.timeout": ["connect_timeout"],
  "net.lost": ["net_lost"],
  "session.superseded": ["superseded"],
  "session.revoked": ["auth_expired", "sign_in"],
  "session.operator": ["ended_operator"],
  "session.deleted": ["conversation_deleted", null],
  bad_message: BAD,
  "browser.bad_message": BAD,
  "browser.too_fast": ["bad_message"],
  "browser.too_large": BAD,
  "conversation.not_found": BAD,
};

/**
 * {key, values, text, action, actionKey} of a problem {code, message, retryAfterMs}. `text` is the server's own sentence, for codes
 * that have none here; then `key` is null. `values.seconds`: how long to wait.
 */
export function describe({ code, message = null, retryAfterMs = null }) {
  const [key, action = "again"] = PROBLEMS[code] ?? [message ? null : "unknown"];
  const seconds = retryAfterMs === null ? null : Math.ceil(retryAfterMs / 1_000);
  const timed = (seconds && { upstream_busy: "upstream_limit", quota: "quota_until" }[key]) || key;
  return { key: timed, values: { seconds }, text: key ? null : message, action, actionKey: action && `act_${action === "later" ? "again" : action}` };
}
