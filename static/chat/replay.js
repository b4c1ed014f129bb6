// Plays the kept audio of a message again: one at a time, and never into an open microphone. Loaded when it is asked for.

import { t } from "../strings.js";
import { isBusy } from "../voice/names.js";

export default class Replay {
  #audio = new Audio();
  #row = null;
  #next = []; // rows that follow
  #page;

  /** `page`: see main.js. */
  constructor(page) {
    this.#page = page;
    this.#audio.addEventListener("ended", () => this.#goOn());
    page.call.addEventListener("change", ({ detail }) => isBusy(detail.state) && this.#stop());
  }

  /** Play this row's message, or stop it. */
  toggle(row) {
    const { call, toast } = this.#page;
    if (isBusy(call.state)) return toast.show(t("end_call_first"));
    const again = row === this.#row;
    this.#stop();
    if (!again) this.#play(row);
  }

  /** Play what was kept of a session's messages, one after another. */
  all(session) {
    this.#stop();
    this.#next = [...document.querySelectorAll(`.message[data-session="${CSS.escape(session)}"]`)].filter((row) => row.dataset.audioMs);
    if (!this.#goOn()) this.#page.toast.show(t("audio_gone"));
  }

  #goOn() {
    const [row, ...rest] = this.#next;
    this.#stop();
    this.#next = rest;
    if (row) this.#play(row);
    return row;
  }

  async #play(row) {
    const { api, id, toast } = this.#page;
    row.scrollIntoView({ block: "nearest" });
    this.#row = row;
    this.#mark("stop_playing", "#i-stop");
    this.#audio.src = api.address(`${id()}/messages/${row.dataset.id}/audio`);
    try {
      await this.#audio.play();
    } catch ({ name }) {
      if (name === "AbortError") return; // stopped, or another one was chosen
      this.#stop();
      if (name === "NotSupportedError") row.dataset.audioMs = ""; // the answer was no sound: it is gone
      toast.show(t("audio_gone"));
    }
  }

  #stop() {
    this.#next = [];
    if (!this.#row) return;
    this.#mark("play", "#i-play");
    this.#row = null;
    this.#audio.pause();
  }

  #mark(key, icon) {
    const button = this.#row.querySelector(".play");
    button.ariaLabel = t(key);
    button.querySelector("use").setAttribute("href", icon);
  }
}
