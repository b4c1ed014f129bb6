// The thread's rows: made, placed by item order, filled as text arrives. Text is textContent; `html` of the API alone is markup.

import { clock, t } from "../strings.js";

const NEAR_PX = 140; // this close to the end counts as reading along
const MOST_ROWS = 200; // each is some 45 nodes; who wants the earlier ones again is shown them
const FINAL = new Set(["completed", "interrupted", "failed", "unanswered"]);

export class MessageList {
  #list;
  #scroller;
  #template;
  #jump;
  #empty;
  #announcer;
  #session = ""; // rows of the running session know it: an item without a predecessor is the first of its session
  #waiting = null;

  /** `onRetry(row)`, `onEdit(text)`, `onCopy(text)` and `onPlay(row)` are the buttons of a row. `onTrim()`: there are earlier ones. */
  constructor({ list, scroller, template, jump, empty, announcer, onRetry, onEdit, onCopy, onPlay, onTrim }) {
    Object.assign(this, { onRetry, onEdit, onCopy, onPlay, onTrim });
    [this.#list, this.#scroller, this.#template, this.#jump, this.#empty, this.#announcer] = [list, scroller, template, jump, empty, announcer];
    for (const row of list.children) this.#dress(row);
    list.addEventListener("click", (event) => this.#clicked(event.target));
    scroller.addEventListener("scroll", () => (this.#jump.hidden = this.#isNear), { passive: true });
    jump.addEventListener("click", () => this.toEnd());
    this.toEnd();
  }

  get #isNear() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  get firstPosition() {
    return this.#list.querySelector(".message[data-position]:not([data-position=''])")?.dataset.position ?? null;
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#jump.hidden = true;
  }

  /** Do something to the rows; whoever reads along stays at the end. */
  #follow(change) {
    const near = this.#isNear;
    change();
    this.#empty.hidden = this.#list.children.length > 0;
    if (near) this.#trim();
    if (near) this.toEnd();
    else this.#jump.hidden = false;
  }

  /** The oldest rows go from the page, so that a talk of hours stays quick; only those that the server can show again. */
  #trim() {
    for (let row = this.#list.firstElementChild; this.#list.children.length > MOST_ROWS; row = this.#list.firstElementChild) {
      const { id, status, audioMs, session } = row.dataset;
      const replayed = audioMs && session; // by the button at the end of this call
      if (!id || !FINAL.has(status) || replayed || row.contains(document.activeElement) || getSelection().containsNode(row, true)) return;
      row.remove();
      this.onTrim();
    }
  }

  startSession(id) {
    this.#session = id;
  }

  /** The person's typed message, shown before the relay has it. */
  addTyped(text, clientId) {
    this.#follow(() => {
      const row = this.#make({ client: clientId, role: "user", modality: "text", status: "sending" });
      this.#textOf(row).textContent = text;
      this.#append(row);
    });
    this.toEnd();
  }

  /** The status of a typed message: sending, failed, unanswered or completed; `why` is a sentence, `id` where it is stored. */
  mark(clientId, status, why = "", id = null) {
    const row = this.#find("client", clientId);
    if (!row) return;
    row.dataset.status = status;
    if (id) row.dataset.id = id;
    this.#dress(row, why);
  }

  /** A message of the relay. */
  take(message) {
    switch (message.type) {
      case "speech.started": return this.#heard(message);
      case "transcript.delta": return this.#follow(() => this.#add(message));
      case "transcript.done": return this.#follow(() => this.#finish(message));
      case "response.started": return this.#follow(() => this.#wait());
      case "response.done": case "ended": return this.#unwait();
    }
  }

  #heard({ item_id: item, after }) {
    this.#follow(() => {
      if (this.#find("item", item)) return;
      const row = this.#make({ item, role: "user", modality: "voice", status: "partial" });
      this.#textOf(row).append(dots());
      this.#place(row, after);
    });
  }

  #rowOf({ item_id: item, role, after, client_id: client }) {
    let row = this.#find("item", item) ?? (client ? this.#find("client", client) : null);
    if (row) {
      if (!row.dataset.item) row.dataset.session = this.#session;
      row.dataset.item = item;
      this.#move(row, after);
      return row;
    }
    row = this.#make({ item, client: client ?? "", role, modality: this.modality, status: "partial" });
    this.#place(row, after);
    return row;
  }

  #add(message) {
    if (message.role === "assistant") this.#unwait();
    const row = this.#rowOf(message);
    const text = this.#textOf(row);
    if (text.querySelector(".waiting")) text.textContent = "";
    text.append(message.text);
    text.normalize();
  }

  #finish(message) {
    const row = this.#rowOf(message);
    const done = FINAL.has(message.status);
    if (message.role === "assistant") this.#unwait();
    if (!done && !message.text) return; // only told that it is under way
    if (row.dataset.rich && message.text === row.dataset.rich) return; // the stored form is shown already
    this.#textOf(row).textContent = message.text;
    row.dataset.status = done ? message.status : "partial";
    row.dataset.unsure = message.unsure ? "yes" : "";
    if (done && message.role === "assistant" && (row.dataset.modality === "text" || message.samples === null)) this.#announcer.textContent = `${t("assistant_said")} ${message.text}`;
    if (message.role === "user" && !message.text && message.status === "interrupted") row.remove();
    this.#dress(row);
  }

  /** The id under which an item is stored, while its text is still on the way. */
  know(item, id) {
    const row = this.#find("item", item);
    if (row) row.dataset.id = id;
  }

  /** Ids of answers whose final form the page may not have: those that were on the way, and the last one. */
  get unsettled() {
    const rows = [...this.#list.querySelectorAll(':scope > [data-role="assistant"]:not([data-id=""])')];
    return rows.filter((row, at) => row.dataset.status === "partial" || at === rows.length - 1).map((row) => row.dataset.id);
  }

  /** A stored message (the API's shape): it replaces what was streamed. */
  show(message) {
    const row = this.#find("item", message.item_id) ?? this.#find("id", message.id);
    if (!row) return;
    this.#follow(() => this.#fill(row, message));
  }

  /** Earlier messages, oldest first, above what is shown; the reading place stays. */
  prepend(messages) {
    const { scrollHeight, scrollTop } = this.#scroller;
    const rows = messages.filter((one) => !this.#find("id", one.id)).map((one) => this.#fill(this.#make({}), one));
    this.#list.prepend(...rows);
    this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
  }

  #fill(row, message) {
    const { id, item_id: item, client_id: client, role, modality, status, position, generated_ms: voiceMs, audio_ms: audioMs, unsure } = message;
    Object.assign(row.dataset, { id, item, client: client ?? "", role, modality, status, position, voiceMs: voiceMs ?? "", audioMs: audioMs ?? "", unsure: unsure ? "yes" : "", rich: message.text });
    if (status === "pending") row.dataset.status = "partial";
    this.#textOf(row).innerHTML = message.html; // sanitised on the server
    this.#dress(row);
    return row;
  }

  #make({ item = "", client = "", role = "", modality = "", status = "" }) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    Object.assign(row.dataset, { item, client, role, modality, status });
    return row;
  }

  #textOf(row) {
    return row.querySelector(".text");
  }

  #find(kind, value) {
    return value ? this.#list.querySelector(`:scope > [data-${kind}="${CSS.escape(value)}"]`) : null;
  }

  #append(row) {
    if (this.#waiting) this.#waiting.before(row);
    else this.#list.append(row);
  }

  #place(row, after) {
    row.dataset.session = this.#session;
    const before = after ? this.#find("item", after) : null;
    if (before) return before.after(row);
    const first = after ? null : this.#list.querySelector(`:scope > [data-session="${CSS.escape(this.#session)}"]`);
    if (first && first !== row) first.before(row);
    else this.#append(row);
  }

  #move(row, after) {
    const before = after ? this.#find("item", after) : null;
    if (before && row.previousElementSibling !== before && before !== row) before.after(row);
  }

  #wait() {
    if (this.#waiting) return;
    this.#waiting = document.createElement("li");
    this.#waiting.className = "message";
    this.#waiting.ariaHidden = "true";
    this.#waiting.append(dots());
    this.#list.append(this.#waiting);
  }

  #unwait() {
    this.#waiting?.remove();
    this.#waiting = null;
  }

  /** Everything about a row that follows from its data. */
  #dress(row, why = "") {
    const { role, status, voiceMs } = row.dataset;
    row.querySelector(".who").textContent = t(role === "user" ? "you_said" : "assistant_said");
    row.querySelector(".length").textContent = voiceMs ? clock(Number(voiceMs)) : "";
    const note = { interrupted: role === "assistant" ? "interrupted" : "", unanswered: "not_answered" }[status];
    const failed = role === "assistant" ? "answer_failed" : row.dataset.modality === "voice" ? "not_understood" : "not_sent";
    const key = status === "failed" ? failed : note || (row.dataset.unsure && "unsure");
    row.querySelector(".note").textContent = why || (key ? t(key) : "");
    row.querySelector(".retry").hidden = role !== "user" || row.dataset.modality === "voice";
    row.querySelector(".copy").hidden = !this.#textOf(row).textContent;
  }

  #clicked(target) {
    const row = target.closest(".message");
    if (target.closest(".retry")) this.onRetry({ row, text: this.#textOf(row).textContent.trim(), clientId: row.dataset.client, status: row.dataset.status });
    if (target.closest(".edit")) this.onEdit(this.#textOf(row).innerText.trim());
    if (target.closest(".play")) this.onPlay(row);
    if (target.closest(".copy")) this.onCopy(this.#textOf(row).innerText, target.closest(".copy"));
  }
}

function dots() {
  const span = document.createElement("span");
  span.className = "waiting";
  span.append(...[1, 2, 3].map(() => document.createElement("i")));
  return span;
}
