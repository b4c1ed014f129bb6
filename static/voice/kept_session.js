// Remembers a running call over a reload of the page, for as long as the relay keeps it. Holds ids only.

const KEY = "voice.session";
const KEPT_MS = 55_000; // a little less than the relay's grace

const store = (action) => {
  try {
    return action(sessionStorage);
  } catch {
    return null; // storage may be forbidden: then a reload ends the call
  }
};

/** The page goes away in the middle of a call. */
export const keepSession = (session, conversation) =>
  store((storage) => storage.setItem(KEY, JSON.stringify({ session, conversation, at: Date.now() })));

/** The session of this conversation that may still be open, or null. Asked once: what is told is forgotten. */
export function recallSession(conversation) {
  const text = store((storage) => storage.getItem(KEY));
  store((storage) => storage.removeItem(KEY));
  const kept = text ? JSON.parse(text) : null;
  return kept && kept.conversation === conversation && Date.now() - kept.at < KEPT_MS ? kept.session : null;
}
