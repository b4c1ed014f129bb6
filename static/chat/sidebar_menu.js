// What can be done to a conversation of the list: rename, archive, delete with undo. Loaded when it is asked for.

import { t } from "../strings.js";
import { openMenu } from "./menu.js";

export default class SidebarMenu {
  #page;

  /** `page`: see main.js. */
  constructor(page) {
    this.#page = page;
  }

  open(button, row) {
    openMenu(button, [
      [t("rename"), () => this.#rename(row)],
      [t("what_is_kept"), () => this.#page.keeping(row.dataset.id)],
      [t("archive"), () => this.#archive(row)],
      [t("delete"), () => this.#delete(row)],
    ]);
  }

  #rename(row) {
    const { api, sidebar, showTitle } = this.#page;
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
      const changed = await sidebar.attempt(() => api.change(row.dataset.id, { title }));
      if (!changed) return;
      link.textContent = changed.title;
      if (row.dataset.id === sidebar.current) showTitle(changed.title);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
    });
    field.addEventListener("blur", () => finish(true));
  }

  async #archive(row) {
    const { api, sidebar } = this.#page;
    const { id } = row.dataset;
    if (!(await sidebar.attempt(() => api.change(id, { archived: true })))) return;
    this.#takeAway(row, t("archived"), () => api.change(id, { archived: false }));
  }

  async #delete(row) {
    const { api, sidebar, chatUrl } = this.#page;
    const { id } = row.dataset;
    if (!(await sidebar.attempt(async () => (await api.remove(id), true)))) return;
    const isOpen = id === sidebar.current;
    const dock = document.querySelector(".dock");
    dock.inert = isOpen; // nobody writes or speaks into what is gone
    const undo = async () => {
      await api.restore(id);
      dock.inert = false;
    };
    this.#takeAway(row, t("deleted"), undo, () => isOpen && location.assign(chatUrl));
  }

  #takeAway(row, text, undo, onGone) {
    const { sidebar, toast } = this.#page;
    const [list, next] = [row.parentElement, row.nextElementSibling];
    row.remove();
    sidebar.tell();
    ((next ?? list.lastElementChild)?.querySelector("a") ?? document.getElementById("new-conversation")).focus();
    toast.show(text, {
      label: t("undo"),
      action: async () => {
        if (!(await sidebar.attempt(async () => (await undo(), true)))) return;
        list.insertBefore(row, next?.isConnected ? next : null);
        sidebar.tell();
        row.querySelector("a").focus();
      },
      onGone,
    });
  }
}
