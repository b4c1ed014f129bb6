// The list of conversations, and a drawer on narrow screens. What can be done to a conversation is in sidebar_menu.js.

import { t } from "../strings.js";

export class Sidebar {
  #list;
  #template;
  #note;
  #toast;
  #chatUrl;
  current;

  /** `onMenu(button, row)` opens the menu of a conversation. */
  constructor({ list, template, note, toast, current, chatUrl, onMenu }) {
    [this.#list, this.#template, this.#note, this.#toast, this.#chatUrl] = [list, template, note, toast, chatUrl];
    this.current = current;
    list.addEventListener("click", (event) => {
      const button = event.target.closest(".more");
      if (button) onMenu(button, button.closest(".conversation"));
    });
    this.#drawer();
  }

  /** A new conversation at the top, as the open one. */
  add({ id, title }) {
    this.current = id;
    for (const link of this.#list.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    this.#list.prepend(this.#row({ id, title }));
    this.tell("");
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

  /** The sentence in place of the rows; by itself the one of an empty list. */
  tell(text = this.#list.children.length ? "" : t("no_conversations")) {
    this.#note.hidden = !text;
    this.#note.textContent = text;
  }

  /** These in place of the rows. */
  show(conversations) {
    this.#list.replaceChildren(...conversations.map((one) => this.#row(one)));
  }

  /** What `request` resolves to; when it fails, the person is told and it is null. */
  async attempt(request) {
    try {
      return await request();
    } catch {
      this.#toast.show(t("request_failed"));
      return null;
    }
  }

  #drawer() {
    const [sidebar, scrim, opener, closer, thread] = ["sidebar", "scrim", "open-sidebar", "close-sidebar", "thread"].map((id) => document.getElementById(id));
    const show = (open) => {
      sidebar.classList.toggle("open", open);
      scrim.hidden = !open;
      thread.inert = open;
      opener.setAttribute("aria-expanded", String(open));
      (open ? closer : opener).focus();
    };
    opener.addEventListener("click", () => show(true));
    closer.addEventListener("click", () => show(false));
    scrim.addEventListener("click", () => show(false));
    sidebar.addEventListener("keydown", (event) => event.key === "Escape" && sidebar.classList.contains("open") && show(false));
  }
}
