// The voice panel: shows the call's state and turns taps into its events. Decides nothing about the call.

import { clock, t } from "../strings.js";
import { Captions } from "./captions.js";
import { listenToKeys } from "./keyboard.js";
import { isBusy, isLive } from "./names.js";
import { describe } from "./problems.js";
import { PanelSettings } from "./panel_settings.js";
import { signalOf, statusOf, stripOf, summaryOf } from "./status.js";
import { Visualizer } from "./visualizer.js";

const TICK_MS = 1_000;
const ANNOUNCE_MS = 1_000; // a live region that says more than this chatters
const MUTED_HINT_MS = 3_000;

export class Panel {
  #root;
  #call;
  #button;
  #captions;
  #visualizer;
  #settings;
  #tick = null;
  #announce = null;
  #announcedAt = 0;
  #mutedHint = null;

  /** `onPreference(change)` keeps what the person chose; `loginUrl` is where an expired sign-in leads. */
  constructor({ root, button, call, preferences, onPreference = () => {}, loginUrl = "" }) {
    this.#root = root;
    this.#call = call;
    this.#button = button;
    this.loginUrl = loginUrl;
    this.onPreference = onPreference;
    this.#captions = new Captions(this.#part("caption"));
    this.#visualizer = new Visualizer(this.#part("visualizer"));
    this.#settings = new PanelSettings({ root: this.#part("settings"), call, preferences, onPreference });
    this.#showCaptions(preferences.captions !== false);
    root.addEventListener("click", (event) => this.#act(event.target.closest("[data-act]")?.dataset.act));
    this.#holdToTalk();
    listenToKeys({ act: (name) => this.#act(name), live: () => isLive(call.state), talkMode: () => call.state.talkMode });
    call.addEventListener("change", ({ detail }) => this.#render(detail.state, detail.previous));
    call.addEventListener("relay", ({ detail }) => (this.#captions.take(detail), this.#showRecording(detail)));
    call.addEventListener("heard", ({ detail }) => this.#captions.heard(detail.item, detail.samples));
    call.addEventListener("spoken-muted", () => this.#hintMuted());
    call.offerResume();
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }

  #control(name) {
    return this.#root.querySelector(`.controls [data-act="${name}"]`);
  }

  #act(name) {
    const call = this.#call;
    switch (name) {
      case "start": return call.start();
      case "mute": case "interrupt": case "escape": case "stay": return call.dispatch({ type: name });
      case "talk-down": case "talk-up": return call.dispatch({ type: name.replace("-", ".") });
      case "talk-mode": return this.#settings.setTalkMode(!call.state.talkMode);
      case "captions": return this.#toggleCaptions();
      case "settings": return this.#openSettings(this.#part("settings").hidden);
      case "help": this.#openSettings(true); this.#root.querySelector(".keys").open = true; return;
      case "end": call.dispatch({ type: "end" }); return this.#button.focus();
      case "close": call.dispatch({ type: "dismiss" }); return document.getElementById("composer-text")?.focus();
      case "sound": return call.enableSound();
      case "problem": return this.#solve();
    }
  }

  #solve() {
    const { action } = describe(this.#call.state.problem);
    if (action === "again") this.#call.start();
    else if (action === "sound") this.#call.start();
    else if (action === "sign_in") location.assign(this.loginUrl);
    else if (action === "reload") location.reload();
    else this.#act("close");
  }

  #holdToTalk() {
    const hold = this.#control("talk");
    const up = () => {
      hold.classList.remove("down");
      this.#call.dispatch({ type: "talk.up" });
    };
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      hold.classList.add("down");
      this.#call.dispatch({ type: "talk.down" });
    });
    hold.addEventListener("pointerup", up);
    hold.addEventListener("pointercancel", up);
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
    hold.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && !event.repeat && this.#call.dispatch({ type: "talk.down" }));
    hold.addEventListener("keyup", (event) => [" ", "Enter"].includes(event.key) && up());
  }

  #toggleCaptions() {
    this.#showCaptions(!this.#captions.shown);
    this.onPreference({ captions: this.#captions.shown });
  }

  #showCaptions(shown) {
    this.#captions.shown = shown;
    if (!shown) this.#part("caption").hidden = true;
    this.#control("captions").setAttribute("aria-pressed", String(shown));
  }

  #openSettings(open) {
    this.#part("settings").hidden = !open;
    this.#control("settings").setAttribute("aria-expanded", String(open));
    if (open) this.#settings.refresh();
  }

  #render(state, previous) {
    const root = this.#root;
    root.hidden = state.name === "idle";
    root.dataset.state = state.name;
    root.dataset.muted = String(state.muted);
    const busy = isBusy(state);
    this.#button.setAttribute("aria-pressed", String(busy));
    const label = this.#button.querySelector("[data-label]");
    if (label) label.textContent = t(busy ? "end_voice" : "start_voice");
    else this.#button.setAttribute("aria-label", t(busy ? "end_voice" : "start_voice"));
    this.#button.querySelector("use").setAttribute("href", busy ? "#i-end" : "#i-speaker");
    this.#say(state);
    const mute = this.#control("mute");
    mute.setAttribute("aria-pressed", String(state.muted));
    mute.querySelector("use").setAttribute("href", state.muted ? "#i-mic-off" : "#i-mic");
    this.#control("talk-mode").setAttribute("aria-pressed", String(state.talkMode));
    this.#control("talk").hidden = !state.talkMode;
    this.#control("interrupt").disabled = !(state.name === "speaking" || state.name === "thinking");
    const signal = this.#part("signal");
    signal.dataset.quality = signalOf(state);
    signal.setAttribute("aria-label", t(`signal_${signalOf(state)}`));
    if (busy !== isBusy(previous)) this.#run(busy);
    if (state.name !== previous.name && !busy) this.#finish(state);
    else if (state.summary && state.summary !== previous.summary) this.#summarise(state.summary);
    if (busy) this.#part("problem").hidden = this.#part("summary").hidden = true;
    this.#showStrip(state);
    this.#showCost(state);
  }

  #say(state) {
    const [key, values] = statusOf(state);
    const text = this.#mutedHint && state.muted ? t("muted_speaking") : t(key, values);
    this.#part("status").textContent = text;
    clearTimeout(this.#announce);
    const region = this.#root.querySelector("#voice-status");
    const now = performance.now();
    const tell = () => {
      this.#announcedAt = performance.now();
      if (region.textContent !== text) region.textContent = text;
    };
    const wait = ANNOUNCE_MS - (now - this.#announcedAt);
    if (wait <= 0) tell();
    else this.#announce = setTimeout(tell, wait);
  }

  #hintMuted() {
    clearTimeout(this.#mutedHint);
    this.#mutedHint = setTimeout(() => {
      this.#mutedHint = null;
      this.#say(this.#call.state);
    }, MUTED_HINT_MS);
    this.#say(this.#call.state);
  }

  /** What moves while a call runs: bars and clock. */
  #run(busy) {
    clearInterval(this.#tick);
    if (!busy) return this.#visualizer.stop();
    this.#captions.clear();
    this.#visualizer.start(() => this.#shownSound());
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
    this.#onTick();
  }

  #shownSound() {
    const { name, muted, talkMode, talking } = this.#call.state;
    if (name === "speaking") return this.#call.speaker.analyser;
    if (muted || (talkMode && !talking) || name === "thinking" || name === "reconnecting") return null;
    return this.#call.microphone.analyser;
  }

  #onTick() {
    const { startedAt } = this.#call.state;
    this.#part("clock").textContent = clock(startedAt === null ? 0 : performance.now() - startedAt);
    this.#showStrip(this.#call.state);
  }

  #showStrip(state) {
    const strip = isBusy(state) ? stripOf(state, performance.now()) : null;
    const element = this.#part("strip");
    element.hidden = strip === null;
    if (!strip) return;
    element.querySelector("span").textContent = strip.text ?? t(strip.key, strip.values);
    const action = element.querySelector("button");
    action.hidden = !strip.stay && !strip.sound;
    action.dataset.act = strip.sound ? "sound" : "stay";
    action.textContent = t(strip.sound ? "act_sound" : "act_stay");
  }

  #showRecording({ type, on }) {
    if (type === "recording" || type === "ready" || type === "ended") this.#part("recording").hidden = !on;
  }

  #showCost({ usage }) {
    this.#part("cost").textContent = !usage?.cost_usd ? "" : t("cost", { cost: money(usage.cost_usd) });
  }

  /** A call is over: the problem or the summary takes the place of the controls. */
  #finish(state) {
    this.#openSettings(false);
    const problem = this.#part("problem");
    const summary = this.#part("summary");
    problem.hidden = state.name !== "error";
    summary.hidden = state.name !== "ended";
    if (state.name === "error") {
      const { key, values, text, actionKey } = describe(state.problem);
      problem.querySelector("p").textContent = text ?? t(key, values);
      const action = problem.querySelector("button");
      action.hidden = actionKey === null;
      if (actionKey) action.textContent = t(actionKey);
    }
    if (state.name === "ended") this.#summarise(state.summary);
  }

  #summarise(summary) {
    const words = summaryOf(summary).map(([key, values]) =>
      key === "clock" ? clock(values.durationMs) : t(key, key === "cost" ? { cost: money(values.cost) } : values));
    this.#part("summary").querySelector("p").textContent = words.join(" · ");
    this.#part("summary").querySelector("button").textContent = t(summary.reason === "reloaded" ? "act_resume" : "act_start");
  }
}

const money = (usd) => new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: "USD", maximumFractionDigits: usd < 0.1 ? 3 : 2 }).format(usd);
