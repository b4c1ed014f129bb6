// The dialog in which a person says what may be kept of the conversation. Loaded when its button is pressed.

import { t } from "../strings.js";

const LEVELS = ["nothing", "transcript", "audio"];

export default class Keeping {
  #button = document.getElementById("keep-button");
  #dialog = document.getElementById("keeping");
  #page;
  #dressed;

  /** `page`: see main.js. */
  constructor(page) {
    this.#page = page;
    const dialog = this.#dialog;
    this.#dressed = stylesheet(dialog.dataset.css);
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    dialog.addEventListener("change", ({ target }) => this.#attempt(() => this.#choose(target.value)));
    dialog.querySelector("[data-act=forget]").addEventListener("click", () => this.#attempt(() => this.#forget()));
  }

  async open() {
    await this.#dressed;
    this.#show();
    this.#dialog.showModal();
  }

  get #level() {
    return this.#button.dataset.keep;
  }

  #show() {
    const chosen = this.#dialog.querySelector(`[value="${this.#level}"]`);
    chosen.checked = true;
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
    const { api, begun, id } = this.#page;
    const less = LEVELS.indexOf(level) < LEVELS.indexOf(this.#level);
    if (less) this.#tell(level); // at once: what is taken back waits for no answer
    if (id()) await api.change(id(), { keep: level });
    else begun((await api.create({ keep: level })).id);
    if (!less) this.#tell(level);
    this.#button.dataset.keep = level;
  }

  async #forget() {
    const { api, id, toast } = this.#page;
    if (this.#level === "audio") this.#tell("transcript");
    if (id()) await api.remove(`${id()}/audio`);
    if (this.#level === "audio") this.#button.dataset.keep = "transcript";
    for (const row of document.querySelectorAll(".message")) row.dataset.audioMs = "";
    this.#dialog.close();
    toast.show(t("audio_deleted"));
  }

  /** The sessions that run know it without delay, in whatever process they are. */
  #tell(keep) {
    this.#page.call.configure({ keep });
    this.#page.typed.configure({ keep });
  }
}

const stylesheet = (href) =>
  new Promise((done) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: done, onerror: done });
    document.head.append(link);
  });
