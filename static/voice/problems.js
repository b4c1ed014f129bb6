// Each problem's sentence (a key of the strings) and its one action. Pure.

/** Actions: "again" start anew, "later" the same when the wait is over, "sound" let sound play, "text" go on in writing, "usage" see what was used, "sign_in", "reload", or null. */
const PROBLEMS = {
  "mic.denied": ["mic_denied", "again"],
  "mic.missing": ["mic_missing", "again"],
  "mic.busy": ["mic_busy", "again"],
  "mic.timeout": ["mic_timeout", "again"],
  "mic.unsupported": ["mic_unsupported", "text"],
  "audio.blocked": ["sound_blocked", "sound"],
  "auth.expired": ["auth_expired", "sign_in"],
  "token.used": ["token_expired", "again"],
  "token.expired": ["token_expired", "again"],
  quota: ["quota", "usage"],
  budget: ["quota", "usage"],
  "limit.budget": ["quota", "usage"],
  "limit.sessions": ["other_calls", "again"],
  "limit.chats": ["other_chats", "again"],
  "voice.disabled": ["upstream_auth", null],
  "voice.not_configured": ["upstream_auth", null],
  "busy.global": ["busy_global", "later"],
  "busy.memory": ["busy_global", "later"],
  "busy.chats": ["busy_chats", "later"],
  "upstream.auth": ["upstream_auth", null],
  "upstream.config": ["upstream_auth", null],
  "upstream.quota": ["upstream_auth", null],
  "upstream.untrusted": ["upstream_auth", null],
  "origin.refused": ["upstream_auth", null],
  "limit.price_unknown": ["upstream_auth", null],
  "busy.disk": ["upstream_auth", null],
  "storage.stuck": ["upstream_auth", "again"],
  draining: ["upstream_unreachable", "again"],
  internal: ["unknown", "again"],
  "upstream.unreachable": ["upstream_unreachable", "again"],
  "upstream.timeout": ["upstream_unreachable", "again"],
  "upstream.rate_limited": ["upstream_busy", "later"],
  "upstream.answer_failed": ["upstream.answer_failed", "again"],
  "upstream.message_refused": ["upstream.message_refused", "again"],
  "upstream.lost": ["upstream_lost", "again"],
  "upstream.failed": ["upstream_lost", "again"],
  "connect.timeout": ["connect_timeout", "again"],
  "net.lost": ["net_lost", "again"],
  "session.superseded": ["superseded", "again"],
  "session.revoked": ["auth_expired", "sign_in"],
  "session.operator": ["ended_operator", "again"],
  "session.deleted": ["conversation_deleted", null],
  bad_message: ["bad_message", "reload"],
  "browser.bad_message": ["bad_message", "reload"],
  "browser.too_fast": ["bad_message", "again"],
  "browser.too_large": ["bad_message", "reload"],
  "conversation.not_found": ["bad_message", "reload"],
};

const ACTION_WORDS = { again: "act_again", later: "act_again", sound: "act_sound", text: "act_text", usage: "act_usage", sign_in: "act_sign_in", reload: "act_reload" };

/**
 * {key, values, text, action, actionKey} of a problem {code, message, retryAfterMs}. `text` is the server's own sentence, for codes
 * that have none here; then `key` is null. `values.seconds`: how long to wait.
 */
export function describe({ code, message = null, retryAfterMs = null }) {
  const [key, action] = PROBLEMS[code] ?? [message ? null : "unknown", "again"];
  const seconds = retryAfterMs === null ? null : Math.ceil(retryAfterMs / 1_000);
  const timed = (seconds && { upstream_busy: "upstream_limit", quota: "quota_until" }[key]) || key;
  return { key: timed, values: { seconds }, text: key ? null : message, action, actionKey: ACTION_WORDS[action] ?? null };
}
