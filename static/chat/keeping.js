// The dialog in which a person says what may be kept of a conversation. Loaded when it is asked for.

import { t } from "../strings.js";
import { stylesheet } from "../stylesheet.js";

const LEVELS = ["nothing", "transcript", "audio"];

export default class Keeping {
  #button = document.getElementById("keep-button");
  #dialog = document.getElementById("keeping");
  #page;
  #dressed;
  #id = null; // of the conversation that it is about; null: a new one
  #level;

  /** `page`: see main.js. */
  constructor(page) {
    this.#page = page;
    const dialog = this.#dialog;
    this.#dressed = stylesheet(dialog.dataset.css).catch(() => {}); // plain is better than none
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    dialog.addEventListener("change", ({ target }) => this.#attempt(() => this.#choose(target.value)));
    dialog.querySelector("[data-act=forget]").addEventListener("click", () => this.#attempt(() => this.#forget()));
  }

  /** `id`: of any conversation of the person's, by itself the open one. */
  async open(id = this.#page.id()) {
    await this.#dressed;
    this.#id = id;
    try {
      this.#level = this.#isOpen ? this.#button.dataset.keep : (await this.#page.api.conversation(id)).keep;
    } catch {
      return this.#page.toast.show(t("request_failed"));
    }
    this.#show();
    this.#dialog.showModal();
  }

  get #isOpen() {
    return this.#id === this.#page.id();
  }

  #show() {
    const chosen = this.#dialog.querySelector(`[value="${this.#level}"]`);
    chosen.checked = true;
    if (!this.#isOpen) return;
    this.#button.dataset.keep = this.#level;
    this.#button.querySelector("span").textContent = chosen.dataset.told;
  }

  async #attempt(work) {
    try {
      await work();
    } catch {
      this.#page.toast.show(t("request_failed"));
    }
    this.#show();
  }

  async #choose(level) {
    const { api, begun } = this.#page;
    const less = LEVELS.indexOf(level) < LEVELS.indexOf(this.#level);
    if (less) this.#tell(level); // at once: what is taken back waits for no answer
    if (this.#id) await api.change(this.#id, { keep: level });
    else begun((this.#id = (await api.create({ keep: level })).id));
    if (!less) this.#tell(level);
    this.#level = level;
  }

  async #forget() {
    const { api, toast } = this.#page;
    if (this.#level === "audio") this.#tell("transcript");
    if (this.#id) await api.remove(`${this.#id}/audio`);
    if (this.#level === "audio") this.#level = "transcript";
    if (this.#isOpen) for (const row of document.querySelectorAll(".message")) row.dataset.audioMs = "";
    this.#dialog.close();
    toast.show(t("audio_deleted"));
  }

  /** The sessions that run know it without delay, in whatever process they are. */
  #tell(keep) {
    if (!this.#isOpen) return; // its session, in another page, learns it from the database
    this.#page.configure({ keep });
  }
}
