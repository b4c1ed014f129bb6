// The way into a call: its modules are loaded when somebody shows that they want to talk, not with the page.

import { stylesheet } from "../stylesheet.js";
import { primeContexts } from "./contexts.js";
import { recallSession } from "./kept_session.js";
import { isBusy } from "./names.js";

const IDLE = Object.freeze({ name: "idle", playing: false });

/**
 * Stands for the call before there is one. Fires the call's "change" and "relay" once there is.
 * `mint`: see VoiceCall. `panel`: the options of Panel, without the call.
 * `check`: button and dialog of the microphone's check. `onFailed()`: the modules could not be had.
 */
export class VoiceDoor extends EventTarget {
  call = null;
  #button;
  #options;
  #loading = null;
  #check = null;

  constructor({ button, check, ...options }) {
    super();
    this.#button = button;
    this.#options = { ...options, resume: recallSession(options.conversationId ?? null) };
    for (const interest of ["pointerenter", "pointerdown", "focus"]) button.addEventListener(interest, () => this.load().catch(() => {}), { once: true });
    button.addEventListener("click", () => this.toggle());
    check.button.addEventListener("click", () => this.#checkMicrophone(check.dialog));
    document.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || !event.shiftKey || event.code !== "KeyV" || button.hidden || button.disabled) return;
      event.preventDefault();
      this.toggle();
    });
    if (this.#options.resume) this.load().catch(() => {}); // a call that a reload interrupted is offered at once
  }

  get state() {
    return this.call?.state ?? IDLE;
  }

  sendText(text, clientId) {
    return this.call?.sendText(text, clientId) ?? false;
  }

  configure(change) {
    this.call?.configure(change);
  }

  /** Start or end the call. Call it inside the person's tap. */
  async toggle() {
    if (isBusy(this.state)) return this.call.dispatch({ type: "end" });
    primeContexts();
    if (this.call) return this.call.start();
    if (this.#button.ariaBusy === "true") return;
    this.#button.ariaBusy = "true";
    try {
      (await this.load()).start();
    } catch {
      this.#options.onFailed?.();
    } finally {
      this.#button.ariaBusy = null;
    }
  }

  async #checkMicrophone(dialog) {
    if (isBusy(this.state)) return;
    primeContexts();
    this.#check ??= Promise.all([import("./mic_check.js"), stylesheet(dialog.dataset.css)]).then(([{ MicCheck }]) => new MicCheck({ dialog, onStart: () => this.toggle(), onVoice: (voice) => this.#chooseVoice(voice) }));
    try {
      (await this.#check).open();
    } catch {
      this.#check = null;
      this.#options.onFailed?.();
    }
  }

  #chooseVoice(voice) {
    this.#options.panel.onPreference({ voice });
    this.#options.panel.root.querySelector("[data-set=voice]").value = voice;
  }

  /** Resolves to the call, with its panel. */
  load() {
    this.#loading ??= this.#load().catch((error) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  async #load() {
    const { mint, resume, panel, onFailed } = this.#options;
    const [{ VoiceCall }, { Panel }] = await Promise.all([import("./main.js"), import("./panel.js"), stylesheet(panel.root.dataset.css)]);
    this.call = new VoiceCall({ mint, resume });
    for (const name of ["change", "relay"]) this.call.addEventListener(name, ({ detail }) => this.dispatchEvent(new CustomEvent(name, { detail })));
    new Panel({ ...panel, onFailed, button: this.#button, call: this.call });
    return this.call;
  }
}
