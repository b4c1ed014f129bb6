// Plays the kept audio of a message again: one at a time, and never into an open microphone. Loaded when it is asked for.

import { t } from "../strings.js";
import { isBusy } from "../voice/names.js";

export default class Replay {
  #audio = new Audio();
  #row = null;
  #page;

  /** `page`: see main.js. */
  constructor(page) {
    this.#page = page;
    this.#audio.addEventListener("ended", () => this.#stop());
    page.call.addEventListener("change", ({ detail }) => isBusy(detail.state) && this.#stop());
  }

  /** Play this row's message, or stop it. */
  async toggle(row) {
    const { api, call, id, toast } = this.#page;
    if (isBusy(call.state)) return toast.show(t("end_call_first"));
    const again = row === this.#row;
    this.#stop();
    if (again) return;
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
