// The list of conversations: search, rename, archive, delete with undo; a drawer on narrow screens.

import { t } from "../strings.js";
import { openMenu } from "./menu.js";

const SEARCH_MS = 250;

export class Sidebar {
  #api;
  #list;
  #template;
  #note;
  #toast;
  #searchTimer = null;
  #chatUrl;
  current;

  /** `onTitle(title)` is called when the open conversation was renamed, `onKeep(id)` to choose what is kept of one. */
  constructor({ api, list, template, note, search, toast, current, chatUrl, onTitle, onKeep }) {
    [this.#api, this.#list, this.#template, this.#note, this.#toast, this.#chatUrl] = [api, list, template, note, toast, chatUrl];
    Object.assign(this, { current, onTitle, onKeep });
    search.addEventListener("input", () => this.#searchSoon(search.value.trim()));
    list.addEventListener("click", (event) => {
      const button = event.target.closest(".more");
      if (button) this.#openMenu(button, button.closest(".conversation"));
    });
    this.#drawer();
  }

  /** A new conversation at the top, as the open one. */
  add({ id, title }) {
    this.current = id;
    for (const link of this.#list.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    this.#list.prepend(this.#row({ id, title }));
    this.#tell("");
  }

  rename(id, title) {
    const link = this.#rowOf(id)?.querySelector("a");
    if (link) link.textContent = title || t("new_conversation");
  }

  #rowOf(id) {
    return this.#list.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  #row({ id, title }) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    const link = row.querySelector("a");
    row.dataset.id = id;
    link.href = `${this.#chatUrl}${id}/`;
    link.textContent = title || t("new_conversation");
    if (id === this.current) link.setAttribute("aria-current", "page");
    return row;
  }

  #tell(text) {
    this.#note.hidden = !text;
    this.#note.textContent = text;
  }

  #searchSoon(query) {
    clearTimeout(this.#searchTimer);
    this.#searchTimer = setTimeout(() => this.#search(query), SEARCH_MS);
  }

  async #search(query) {
    const found = await this.#try(() => this.#api.conversations(query));
    if (!found) return;
    this.#list.replaceChildren(...found.results.map((one) => this.#row(one)));
    this.#tell(found.results.length ? "" : t(query ? "no_matches" : "no_conversations"));
  }

  async #try(request) {
    try {
      return await request();
    } catch {
      this.#toast.show(t("request_failed"));
      return null;
    }
  }

  #openMenu(button, row) {
    openMenu(button, [
      [t("rename"), () => this.#rename(row)],
      [t("what_is_kept"), () => this.onKeep(row.dataset.id)],
      [t("archive"), () => this.#archive(row)],
      [t("delete"), () => this.#delete(row)],
    ]);
  }

  #rename(row) {
    const link = row.querySelector("a");
    const field = document.createElement("input");
    field.value = link.textContent;
    field.maxLength = 120;
    field.ariaLabel = t("title");
    link.hidden = true;
    link.before(field);
    field.select();
    let finished = false;
    const finish = async (keep) => {
      if (finished) return;
      finished = true; // taking the field away blurs it, which would finish again
      const title = field.value.trim();
      field.remove();
      link.hidden = false;
      link.focus();
      if (!keep || !title || title === link.textContent) return;
      const changed = await this.#try(() => this.#api.change(row.dataset.id, { title }));
      if (!changed) return;
      link.textContent = changed.title;
      if (row.dataset.id === this.current) this.onTitle(changed.title);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
    });
    field.addEventListener("blur", () => finish(true));
  }

  async #archive(row) {
    const id = row.dataset.id;
    if (!(await this.#try(() => this.#api.change(id, { archived: true })))) return;
    this.#takeAway(row, t("archived"), () => this.#api.change(id, { archived: false }));
  }

  async #delete(row) {
    const id = row.dataset.id;
    if ((await this.#try(async () => (await this.#api.remove(id), true))) === null) return;
    this.#takeAway(row, t("deleted"), () => this.#api.restore(id), () => id === this.current && location.assign(this.#chatUrl));
  }

  #takeAway(row, text, undo, onGone) {
    const next = row.nextElementSibling;
    row.remove();
    if (!this.#list.children.length) this.#tell(t("no_conversations"));
    this.#toast.show(text, {
      label: t("undo"),
      action: async () => {
        if ((await this.#try(async () => (await undo(), true))) === null) return;
        this.#list.insertBefore(row, next?.isConnected ? next : null);
        this.#tell("");
      },
      onGone,
    });
  }

  #drawer() {
    const [sidebar, scrim, opener] = ["sidebar", "scrim", "open-sidebar"].map((id) => document.getElementById(id));
    const show = (open) => {
      sidebar.classList.toggle("open", open);
      scrim.hidden = !open;
      opener.setAttribute("aria-expanded", String(open));
      (open ? document.getElementById("close-sidebar") : opener).focus();
    };
    opener.addEventListener("click", () => show(true));
    document.getElementById("close-sidebar").addEventListener("click", () => show(false));
    scrim.addEventListener("click", () => show(false));
    sidebar.addEventListener("keydown", (event) => event.key === "Escape" && sidebar.classList.contains("open") && show(false));
  }
}
