// The panel's settings: devices, volume, when to answer, speed. What a person chose is kept here (devices) and on the server (the rest).

import { t } from "../strings.js";

const KEPT = "voice.devices"; // devices differ from machine to machine: kept in this browser

const kept = () => {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // storage may be forbidden
  }
};

function keep(change) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ ...kept(), ...change }));
  } catch {
    // storage may be forbidden: then the choice lasts as long as the page
  }
}

export class PanelSettings {
  #root;
  #call;
  #onPreference;
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

  /** List the devices (their names are known once the microphone is allowed) and give advice about echo. */
  async refresh() {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const { microphone = "", output = "" } = kept();
    this.#list("microphone", devices.filter((one) => one.kind === "audioinput"), microphone);
    const outputs = devices.filter((one) => one.kind === "audiooutput");
    this.#list("output", outputs, output);
    this.#root.querySelector("[data-part=output-choice]").hidden = !this.#call.speaker.canChooseOutput || !outputs.length;
    const advice = this.#root.querySelector("[data-part=advice]");
    advice.hidden = this.#call.microphone.cancelsEcho !== false;
    advice.textContent = t("use_headphones");
  }

  #list(name, devices, chosen) {
    const options = devices.filter((one) => one.deviceId && one.deviceId !== "default").map((one) => new Option(one.label, one.deviceId));
    const field = this.#field(name);
    field.replaceChildren(new Option(t("system_default"), ""), ...options);
    field.value = [...field.options].some((one) => one.value === chosen) ? chosen : "";
  }
}
