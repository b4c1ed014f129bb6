// The search among the conversations. Loaded when somebody reaches for it.

import { t } from "../strings.js";

const SEARCH_MS = 250;

export default class Search {
  #page;
  #timer = null;
  #turn = 0;

  /** `page`: see main.js. */
  constructor(page) {
    this.#page = page;
  }

  /** Look for this soon, unless more is typed. */
  soon(query) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(query), SEARCH_MS);
  }

  async #search(query) {
    const { api, sidebar } = this.#page;
    const turn = ++this.#turn;
    const found = await sidebar.attempt(() => api.conversations(query));
    if (!found || turn !== this.#turn) return; // a later search is on its way, or was answered before
    sidebar.show(found.results);
    sidebar.tell(query && !found.results.length ? t("no_matches") : undefined);
  }
}
