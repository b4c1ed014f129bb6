// The chat page: brings thread, composer, list and voice together. Each of them knows nothing of the others.

import { t } from "../strings.js";
import { VoiceDoor } from "../voice/door.js";
import { isBusy } from "../voice/names.js";
import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { MessageList } from "./messages.js";
import { Sidebar } from "./sidebar.js";
import { Toast } from "./toast.js";

const COPIED_MS = 1_500;
const SETTLE_MS = 1_200; // after a session's end, for its last records to be stored
const by = (id) => document.getElementById(id);
const bootstrap = JSON.parse(by("bootstrap").textContent);
const api = new Api(bootstrap.urls);
const toast = new Toast(by("toast"));
let conversationId = bootstrap.conversation_id;
let untitled = conversationId === null || by("conversation-title").dataset.untitled === "yes";

async function mint(fields) {
  const answer = await api.mint(() => ({ conversation_id: conversationId, ...fields }));
  begun(answer.conversation_id);
  return answer;
}

/** The conversation that a new page is about has an id from now on. */
function begun(id) {
  if (conversationId !== null) return;
  conversationId = id;
  history.replaceState(null, "", `${bootstrap.urls.chat}${id}/`);
  sidebar.add({ id, title: "" });
}

function showTitle(title) {
  untitled = !title;
  by("conversation-title").textContent = title || t("new_conversation");
  document.title = title ? `${title} · ${t("site")}` : t("site");
  sidebar.rename(conversationId, title);
}

const sidebar = new Sidebar({
  toast, list: by("conversation-list"), template: by("conversation-row"), note: by("conversation-note"),
  current: conversationId, chatUrl: bootstrap.urls.chat, onMenu: (button, row) => later("menu").then((menu) => menu?.open(button, row)),
});

const messages = new MessageList({
  list: by("messages"), scroller: by("main"), template: by("message-row"), jump: by("jump"), empty: by("empty"), announcer: by("announcer"),
  onRetry: ({ row, text, clientId }) => {
    // The same id: one message, however often it is tried. The relay asks again for one that was not answered.
    row.querySelector(".retry").hidden = true;
    messages.mark(clientId, "sending");
    send(text, clientId);
  },
  onEdit: (text) => composer.add(text),
  onCopy: async (text, button) => {
    await navigator.clipboard.writeText(text);
    const mark = button.querySelector("use");
    mark.setAttribute("href", "#i-check");
    by("announcer").textContent = t("copied");
    setTimeout(() => mark.setAttribute("href", "#i-copy"), COPIED_MS);
  },
  onPlay: (row) => later("replay").then((replay) => replay?.toggle(row)),
  onTrim: () => (by("older").hidden = false),
});

const call = new VoiceDoor({
  button: by("voice-button"), mint, conversationId, onFailed: () => toast.show(t("request_failed")),
  check: { button: by("check-microphone"), dialog: by("mic-check") },
  panel: {
    root: by("voice-panel"), preferences: bootstrap.preferences,
    urls: { login: `${bootstrap.urls.login}?next=${encodeURIComponent(location.pathname)}`, usage: bootstrap.urls.usage },
    onReplay: (session) => later("replay").then((replay) => replay?.all(session)),
    onPreference: (change) => api.prefer(change).catch(() => toast.show(t("request_failed"))),
  },
});
call.addEventListener("relay", ({ detail }) => hear(detail, "voice"));

const page = {
  api, call, toast, sidebar, messages, mint, hear, begun, showTitle, chatUrl: bootstrap.urls.chat,
  id: () => conversationId,
  keeping: (id) => later("keeping").then((keeping) => keeping?.open(id)),
  /** Tell the running sessions, of either kind. */
  configure: (change) => (call.configure(change), parts.typed?.then((typed) => typed?.configure(change))),
};

// What a visit may do without is loaded when it is wanted.
const made = ({ default: Part }) => new Part(page);
const load = {
  keeping: () => import("./keeping.js").then(made),
  menu: () => import("./sidebar_menu.js").then(made),
  replay: () => import("./replay.js").then(made),
  search: () => import("./search.js").then(made),
  typed: () => import("./typed.js").then(made),
};
const parts = {};

/** Resolves to the part, or to null when it could not be had; then the person was told. */
function later(name) {
  parts[name] ??= load[name]().catch(() => {
    delete parts[name];
    toast.show(t("request_failed"));
    return null;
  });
  return parts[name];
}

by("keep-button").addEventListener("click", () => page.keeping());
by("composer-text").addEventListener("input", () => later("typed"), { once: true });
by("conversation-search").addEventListener("input", ({ target }) => later("search").then((search) => search?.soon(target.value.trim())));

/** A message of the relay, from either kind of session. */
function hear(message, modality) {
  messages.modality = modality;
  if (message.type === "ready") messages.startSession(message.session_id);
  messages.take(message);
  if (message.type !== "message.saved") return;
  if (message.status === "pending") messages.know(message.item_id, message.message_id);
  else showStored(message);
}

/** The call is over: how far its last answer was heard is known to the server only. */
call.addEventListener("change", ({ detail: { state, previous } }) => {
  if (!isBusy(previous) || isBusy(state)) return;
  messages.take({ type: "ended" });
  setTimeout(async () => {
    for (const id of messages.unsettled) await showMessage(id);
  }, SETTLE_MS);
});

async function showStored({ message_id: id, client_id: clientId, status }) {
  if (clientId) return messages.mark(clientId, status, "", id); // what was typed is shown as it was typed
  await showMessage(id);
}

async function showMessage(id) {
  const stored = await api.message(conversationId, id).catch(() => null); // the streamed text stays
  if (stored) messages.show(stored);
  if (stored?.role !== "assistant" || !untitled) return;
  const { title } = await api.conversation(conversationId).catch(() => ({}));
  if (title) showTitle(title);
}

function say(text) {
  const clientId = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  messages.addTyped(text, clientId);
  send(text, clientId);
}

async function send(text, clientId) {
  const typed = await later("typed");
  if (typed) typed.send(text, clientId);
  else messages.mark(clientId, "failed");
}

const composer = new Composer({ form: by("composer"), text: by("composer-text"), send: by("send-button"), onSend: say });

by("older").addEventListener("click", async ({ currentTarget: button }) => {
  button.disabled = true;
  const page = await api.messages(conversationId, messages.firstPosition).catch(() => (toast.show(t("request_failed")), null));
  button.disabled = false;
  if (!page) return;
  messages.prepend(page.results);
  button.hidden = page.before === null;
});

addEventListener("beforeunload", (event) => isBusy(call.state) && event.preventDefault());
new ResizeObserver(([{ target }]) => target.parentElement.style.setProperty("--dock", `${target.offsetHeight}px`)).observe(document.querySelector(".dock"));
