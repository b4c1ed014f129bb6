// The panel's settings: voice, devices, volume, when to answer, speed. What a person chose is kept in the browser (devices) and on the server (the rest).

import { t } from "../strings.js";
import { listDevices } from "./devices.js";
import { keep, kept } from "./kept_choices.js";
import { isBusy } from "./names.js";

export class PanelSettings {
  #root;
  #call;
  #onPreference;
  #saved = null; // the voice is on its way to the server
  #spokenPreset; // the preset to return to when push-to-talk is switched off

  constructor({ root, call, preferences, onPreference }) {
    this.#root = root;
    this.#call = call;
    this.#onPreference = onPreference;
    const { microphone = "", output = "", volume = 1 } = kept();
    const preset = preferences.turn_preset || "normal";
    this.#spokenPreset = preset === "push_to_talk" ? "normal" : preset;
    this.#field("turn_preset").value = preset;
    this.#field("volume").value = volume;
    call.configure({ preset, microphone });
    call.speaker.volume = volume;
    if (output) call.speaker.setOutput(output);
    root.addEventListener("change", (event) => this.#changed(event.target));
    root.addEventListener("input", (event) => event.target.dataset.set === "volume" && this.#changed(event.target));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.refresh());
  }

  #field(name) {
    return this.#root.querySelector(`[data-set="${name}"]`);
  }

  setTalkMode(on) {
    const preset = on ? "push_to_talk" : this.#spokenPreset;
    this.#field("turn_preset").value = preset;
    this.#choose(preset);
  }

  #choose(preset) {
    if (preset !== "push_to_talk") this.#spokenPreset = preset;
    this.#call.configure({ preset });
    this.#onPreference({ turn_preset: preset });
  }

  #changed(field) {
    const { set } = field.dataset;
    if (set === "turn_preset") this.#choose(field.value);
    else if (set === "voice") this.#chooseVoice(field.value);
    else if (set === "volume") {
      this.#call.speaker.volume = Number(field.value);
      keep({ volume: Number(field.value) });
    } else if (set === "microphone") {
      keep({ microphone: field.value });
      this.#call.configure({ microphone: field.value });
    } else if (set === "output") {
      keep({ output: field.value });
      this.#call.speaker.setOutput(field.value);
    } else if (set === "speed") this.#call.configure({ speed: Number(field.value) });
    else if (set === "interruptible") this.#call.configure({ interruptible: field.checked });
  }

  /** The protocol lets a voice be changed only before it was heard: it is the next call's. */
  async #chooseVoice(voice) {
    this.#saved = this.#onPreference({ voice });
    await this.#saved;
    this.#root.querySelector("[data-part=voice-later]").hidden = !isBusy(this.#call.state);
  }

  /** The call anew, with the voice that was chosen. Call it inside the person's tap. */
  async restart() {
    this.#root.querySelector("[data-part=voice-later]").hidden = true;
    this.#call.prime();
    this.#call.dispatch({ type: "end" });
    await this.#saved;
    this.#call.start();
  }

  /** List the devices and give advice about echo. */
  async refresh() {
    const { microphone, output } = kept();
    listDevices("audioinput", this.#field("microphone"), microphone);
    const outputs = await listDevices("audiooutput", this.#field("output"), output);
    this.#root.querySelector("[data-part=output-choice]").hidden = !this.#call.speaker.canChooseOutput || !outputs;
    const advice = this.#root.querySelector("[data-part=advice]");
    advice.hidden = this.#call.microphone.cancelsEcho !== false;
    advice.textContent = t("use_headphones");
  }
}
