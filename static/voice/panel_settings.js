// The panel's settings: voice, devices, volume, when to answer, speed. What a person chose is kept in the browser (devices) and on the server (the rest).

import { t } from "../strings.js";
import { listDevices } from "./devices.js";
import { keep, kept } from "./kept_choices.js";
import { isBusy } from "./names.js";

export default class PanelSettings {
  #root;
  #call;
  #onPreference;
  #onPreset;
  #saved = null; // what the next call needs is on its way to the server

  /** `onPreset(preset)`: another turn detection was chosen. */
  constructor(root, { call, onPreference, onPreset }) {
    this.#root = root;
    this.#call = call;
    this.#onPreference = onPreference;
    this.#onPreset = onPreset;
    const { speed, interruptible } = call.settings;
    this.#field("volume").value = kept().volume ?? 1;
    this.#field("speed").value = speed;
    this.#field("interruptible").checked = interruptible;
    root.addEventListener("change", (event) => this.#changed(event.target));
    root.addEventListener("input", (event) => event.target.dataset.set === "volume" && this.#changed(event.target));
    root.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-act]");
      if (button?.dataset.act === "sample") this.#hearVoice(button);
      if (button?.dataset.act === "restart") this.#restart();
    });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.show());
  }

  #field(name) {
    return this.#root.querySelector(`[data-set="${name}"]`);
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }

  #showNumbers(preset) {
    this.#part("numbers").hidden = preset !== "custom";
    const { type } = this.#numbers();
    for (const label of this.#root.querySelectorAll("[data-of]")) label.hidden = label.dataset.of !== type;
  }

  /** The person's own turn detection, with what fits its kind. */
  #numbers() {
    const fields = [...this.#root.querySelectorAll("[data-number]")];
    const { value: type } = fields.find(({ dataset }) => dataset.number === "type");
    const fitting = fields.filter((field) => field.closest("[data-of]")?.dataset.of === type);
    return Object.fromEntries([["type", type], ...fitting.map((field) => [field.dataset.number, field.type === "number" ? field.valueAsNumber : field.value])]);
  }

  #chooseNumbers(field) {
    this.#showNumbers("custom");
    const numbers = this.#numbers();
    const all = [...this.#root.querySelectorAll("[data-number]")].filter((one) => one.dataset.number in numbers);
    if (!all.every((one) => one.validity.valid)) return void field.reportValidity(); // what held before still does
    this.#call.configure({ numbers, preset: "custom" });
    this.#onPreference({ turn_custom: numbers });
  }

  #changed(field) {
    const { set, kept, number } = field.dataset;
    if (number) this.#chooseNumbers(field);
    else if (kept) this.#keep(set, field.value, kept === "later");
    else if (set === "turn_preset") (this.#onPreset(field.value), this.#showNumbers(field.value));
    else if (set === "voice") this.#keep("voice", field.value, true);
    else if (set === "volume") {
      this.#call.speaker.volume = Number(field.value);
      keep({ volume: Number(field.value) });
    } else if (set === "microphone") {
      keep({ microphone: field.value });
      this.#call.configure({ microphone: field.value });
    } else if (set === "output") {
      keep({ output: field.value });
      this.#call.speaker.setOutput(field.value);
    } else if (set === "speed" || set === "interruptible") {
      const change = { [set]: set === "speed" ? Number(field.value) : field.checked };
      this.#call.configure(change);
      this.#onPreference(change);
    }
  }

  /** `later`: it is the next call's, as a voice that was heard cannot change. */
  async #keep(name, value, later) {
    if (name === "caption_style") this.#root.closest(".panel").dataset.captions = value;
    this.#saved = this.#onPreference({ [name]: value });
    await this.#saved;
    if (later) this.#offerRestart(isBusy(this.#call.state), this.#field(name));
  }

  #offerRestart(offered, field = null) {
    for (const link of this.#root.querySelectorAll("[data-part=later]"))
      link.hidden = !offered || (field !== null && !link.parentElement.contains(field));
  }

  /** Play the chosen voice's sample. The microphone is not listened to meanwhile, or the call would hear it. */
  async #hearVoice(button) {
    const { toggleSample } = await import("./sample.js");
    this.#call.dispatch({ type: "interrupt" });
    this.#call.hushed = true;
    const why = await toggleSample(button, this.#field("voice"));
    this.#call.hushed = false;
    if (why) this.#root.querySelector("#voice-note").textContent = why;
  }

  /** The call anew, with what was chosen. Call it inside the person's tap. */
  async #restart() {
    this.#offerRestart(false);
    this.#call.prime();
    this.#call.dispatch({ type: "end" });
    await this.#saved;
    this.#call.start();
  }

  /** Bring it up to date: the turn detection, the devices, advice about echo. */
  async show() {
    const { microphone, output } = kept();
    this.#showNumbers(this.#field("turn_preset").value);
    listDevices("audioinput", this.#field("microphone"), microphone);
    const outputs = await listDevices("audiooutput", this.#field("output"), output);
    this.#root.querySelector("[data-part=output-choice]").hidden = !this.#call.speaker.canChooseOutput || !outputs;
    const advice = this.#root.querySelector("[data-part=advice]");
    advice.hidden = this.#call.microphone.cancelsEcho !== false;
    advice.textContent = t("use_headphones");
  }
}
