// The voice panel: shows the call's state and turns taps into its events. Decides nothing about the call.

import { clock, money, t } from "../strings.js";
import { stylesheet } from "../stylesheet.js";
import { Captions } from "./captions.js";
import { kept } from "./kept_choices.js";
import { listenToKeys } from "./keyboard.js";
import { isBusy, isLive } from "./names.js";
import { describe } from "./problems.js";
import { signalOf, statusOf, stripOf, summaryOf, toldAfter } from "./status.js";
import { Visualizer } from "./visualizer.js";

const TICK_MS = 1_000;
const ANNOUNCE_MS = 1_000; // a live region that says more than this chatters
const SETTLE_MS = 500; // the relay's own summary follows soon after the page's
const MUTED_HINT_MS = 3_000;
const DRAWERS = { settings: () => import("./panel_settings.js"), details: () => import("./details.js") };

export class Panel {
  #root;
  #call;
  #button;
  #captions;
  #visualizer;
  #tick = null;
  #announce = null;
  #announcedAt = 0;
  #shown = {}; // key and text of the status
  #mutedHint = null;
  #muteKey = "";
  #recorded = false; // some of this call's audio was kept
  #spokenPreset = "normal"; // to return to when push-to-talk is switched off
  #drawers = {}; // promises of settings and details, once they were opened
  #urls;

  /**
   * `onPreference(change)` keeps what the person chose; `onReplay(sessionId)` plays a call again.
   * `onFailed()`: settings or details could not be loaded. `urls`: `login`, where an expired sign-in leads, and `usage`.
   */
  constructor({ root, button, call, preferences, onPreference = () => {}, onReplay = null, onFailed = () => {}, urls }) {
    this.#root = root;
    this.#call = call;
    this.#button = button;
    this.#urls = urls;
    Object.assign(this, { onPreference, onReplay, onFailed });
    this.#captions = new Captions(this.#part("caption"));
    this.#visualizer = new Visualizer(this.#part("visualizer"));
    this.#applyChoices(preferences);
    this.#showCaptions(preferences.captions !== false);
    root.addEventListener("click", (event) => this.#act(event.target.closest("[data-act]")?.dataset.act));
    for (const button of root.querySelectorAll("button[aria-label]")) button.title = button.ariaLabel;
    this.#holdToTalk();
    listenToKeys({ act: (name) => this.#act(name), live: () => isLive(call.state), talkMode: () => call.state.talkMode, onLetter: (name, letter) => this.#showLetter(name, letter), fields: root.querySelectorAll("[data-key]") });
    call.addEventListener("change", ({ detail }) => this.#render(detail.state, detail.previous));
    call.addEventListener("relay", ({ detail }) => (this.#captions.take(detail), this.#showRecording(detail)));
    call.addEventListener("heard", ({ detail }) => this.#captions.heard(detail.item, detail.samples));
    call.addEventListener("spoken-muted", () => this.#hintMuted());
    call.offerResume();
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }

  #setting(name) {
    return this.#root.querySelector(`#voice-settings [data-set=${name}]`);
  }

  #control(name) {
    return this.#root.querySelector(`.controls [data-act="${name}"]`);
  }

  #act(name) {
    const call = this.#call;
    switch (name) {
      case "start": return call.start();
      case "mute": case "interrupt": case "escape": case "stay": return call.dispatch({ type: name });
      case "tap": return call.dispatch({ type: "interrupt" });
      case "talk-down": case "talk-up": return call.dispatch({ type: name.replace("-", ".") });
      case "talk-mode": return this.#choosePreset(call.state.talkMode ? this.#spokenPreset : "push_to_talk");
      case "captions": return this.#toggleCaptions();
      case "settings": case "details": return this.#open(name);
      case "microphone": case "volume": return this.#open("settings", true).then(() => this.#setting(name).focus());
      case "replay": return this.onReplay(call.facts.sessionId);
      case "help": this.#root.querySelector(".keys").open = true; return this.#open("settings", true);
      case "end": call.dispatch({ type: "end" }); return this.#button.focus();
      case "close": call.dispatch({ type: "dismiss" }); return document.getElementById("composer-text")?.focus();
      case "sound": return call.enableSound();
      case "problem": return this.#solve();
    }
  }

  #solve() {
    const { action } = describe(this.#call.state.problem);
    if (["again", "later", "sound"].includes(action)) this.#call.start();
    else if (action === "sign_in") location.assign(this.#urls.login);
    else if (action === "usage") location.assign(this.#urls.usage);
    else if (action === "reload") location.reload();
    else this.#act("close");
  }

  #holdToTalk() {
    const hold = this.#control("talk");
    const up = () => {
      hold.classList.remove("down");
      this.#act("talk-up");
    };
    const isHold = ({ key }) => key === " " || key === "Enter";
    const on = (name, act) => hold.addEventListener(name, act);
    on("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      hold.classList.add("down");
      this.#act("talk-down");
    });
    for (const name of ["pointerup", "pointercancel", "blur"]) on(name, up); // a key's end is told to who has the focus
    on("contextmenu", (event) => event.preventDefault());
    on("keydown", (event) => isHold(event) && !event.repeat && this.#act("talk-down"));
    on("keyup", (event) => isHold(event) && up());
  }

  #toggleCaptions() {
    this.#showCaptions(!this.#captions.shown);
    this.onPreference({ captions: this.#captions.shown });
  }

  #showCaptions(shown) {
    this.#captions.shown = shown;
    if (!shown) this.#part("caption").hidden = true;
    this.#control("captions").ariaPressed = shown;
  }

  /** What was chosen before holds from the first call on. */
  #applyChoices({ turn_preset, turn_custom: own, speed = 1, interruptible = true }) {
    const { microphone = "", output = "", volume = 1 } = kept();
    const preset = turn_preset || "normal";
    const call = this.#call;
    call.configure({ numbers: own?.type ? own : null, preset, microphone, speed, interruptible });
    call.speaker.volume = volume;
    if (output) call.speaker.setOutput(output);
    this.#showPreset(preset);
  }

  #showPreset(preset) {
    if (preset !== "push_to_talk") this.#spokenPreset = preset;
    this.#setting("turn_preset").value = preset;
  }

  #choosePreset(preset) {
    this.#showPreset(preset);
    this.#call.configure({ preset });
    this.onPreference({ turn_preset: preset });
  }

  /** Show or hide settings or details, by itself the other of both; they are loaded when they are opened first. */
  async #open(name, open = null) {
    const part = this.#part(name);
    const button = name === "settings" ? this.#control(name) : this.#part("signal");
    open ??= button.ariaExpanded !== "true";
    button.ariaExpanded = open;
    if (!open) return void (part.hidden = true);
    try {
      const drawer = await (this.#drawers[name] ??= this.#make(name));
      drawer.show();
      const opens = part.hidden;
      part.hidden = button.ariaExpanded !== "true"; // closed again meanwhile
      if (opens) part.scrollIntoView({ block: "nearest" }); // in a low window the panel scrolls
    } catch {
      delete this.#drawers[name];
      button.ariaExpanded = false;
      this.onFailed();
    }
  }

  async #make(name) {
    const [{ default: Drawer }] = await Promise.all([DRAWERS[name](), stylesheet(this.#root.dataset.drawersCss)]);
    return new Drawer(this.#part(name), { call: this.#call, onPreference: this.onPreference, onPreset: (preset) => this.#choosePreset(preset) });
  }

  #render(state, previous) {
    const root = this.#root;
    root.hidden = state.name === "idle";
    root.dataset.state = state.name;
    root.dataset.muted = state.muted;
    const busy = isBusy(state);
    this.#button.dataset.busy = busy;
    const label = this.#button.querySelector("[data-label]");
    const name = t(busy ? "end_voice" : "start_voice");
    if (label) label.textContent = name;
    else this.#button.ariaLabel = name;
    this.#button.querySelector("use").setAttribute("href", busy ? "#i-end" : "#i-wave");
    this.#say(state);
    const mute = this.#control("mute");
    mute.ariaPressed = state.muted;
    mute.querySelector("use").setAttribute("href", state.muted ? "#i-mic-off" : "#i-mic");
    this.#control("talk-mode").ariaPressed = state.talkMode;
    this.#control("talk").hidden = !state.talkMode;
    this.#control("interrupt").ariaDisabled = !["speaking", "thinking"].includes(state.name); // so that the focus stays on it
    const signal = this.#part("signal");
    const quality = (signal.dataset.quality = signalOf(state));
    signal.title = signal.ariaLabel = t("signal_details", { signal: t(`signal_${quality}`) });
    if (busy !== isBusy(previous)) this.#run(busy);
    if (state.name !== previous.name && !busy) this.#finish(state);
    else if (state.summary && state.summary !== previous.summary) this.#summarise(state.summary);
    if (busy) this.#part("problem").hidden = this.#part("summary").hidden = true;
    if (state.name !== "error") this.#part("problem-said").textContent = "";
    this.#showStrip(state);
    this.#showCost(state);
  }

  #say(state) {
    const [key, values] = statusOf(state);
    const text = this.#mutedHint && state.muted ? this.#muteKey ? t("muted_speaking", { key: this.#muteKey }) : t("muted_no_key") : t(key, values);
    if (text === this.#shown.text) return;
    this.#part("status").textContent = text;
    const afterMs = toldAfter(key, this.#shown.key);
    this.#shown = { key, text };
    this.#tell(afterMs === null ? "" : text, afterMs);
  }

  /** For who does not see: `text` in the live region, once it is `afterMs` old and the last one was said. */
  #tell(text, afterMs = 0) {
    clearTimeout(this.#announce);
    const region = this.#root.querySelector("#voice-status");
    const tell = () => {
      if (text) this.#announcedAt = performance.now();
      if (region.textContent !== text) region.textContent = text;
    };
    const wait = text ? Math.max(afterMs, ANNOUNCE_MS - (performance.now() - this.#announcedAt)) : 0;
    if (wait <= 0) tell();
    else this.#announce = setTimeout(tell, wait);
  }

  #showLetter(name, letter) {
    if (name === "mute") this.#muteKey = letter.toUpperCase();
    const button = this.#root.querySelector(`button[data-act="${name}"]`);
    if (!button) return;
    button.title = letter ? `${button.ariaLabel ?? ""} (${letter.toUpperCase()})` : button.ariaLabel;
    if (letter) button.setAttribute("aria-keyshortcuts", letter.toUpperCase());
    else button.removeAttribute("aria-keyshortcuts");
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
    if (!this.#part("details").hidden) this.#open("details", true);
  }

  #showStrip(state) {
    const strip = isBusy(state) ? stripOf(state, performance.now()) : null;
    const element = this.#part("strip");
    element.hidden = strip === null;
    const kind = strip?.key ?? "";
    const text = strip ? t(kind, strip.values, strip.text || t("degraded")) : "";
    if (kind !== element.dataset.kind) this.#part("strip-said").textContent = text; // not each second of a countdown
    element.dataset.kind = kind;
    if (!strip) return;
    element.querySelector("span").textContent = text;
    const action = element.querySelector("button");
    action.hidden = !strip.act;
    if (strip.act) [action.dataset.act, action.textContent] = [strip.act, t(`act_${strip.act}`)];
  }

  #showRecording({ type, on }) {
    if (type === "ready") this.#recorded = false;
    if (type === "recording" && on) this.#recorded = true;
    if (type === "recording" || type === "ready" || type === "ended") this.#part("recording").hidden = !on;
  }

  #showCost({ usage }) {
    this.#part("cost").textContent = !usage?.cost_usd ? "" : t("cost", { cost: money(usage.cost_usd) });
  }

  /** A call is over: the problem or the summary takes the place of the controls. */
  #finish(state) {
    this.#open("settings", false);
    this.#open("details", false);
    const problem = this.#part("problem");
    const summary = this.#part("summary");
    if (this.#root.contains(document.activeElement)) this.#root.focus(); // what had the focus is hidden now
    problem.hidden = state.name !== "error";
    summary.hidden = state.name !== "ended";
    if (state.name === "error") this.#explain(state.problem, performance.now() + (state.problem.retryAfterMs ?? 0), true);
    if (state.name === "ended") this.#summarise(state.summary);
  }

  /** The problem's sentence and its one action, which waits for `freeAt` where trying again before would be in vain. */
  #explain(problem, freeAt, begins = false) {
    if (this.#call.state.problem !== problem) return; // another call was begun meanwhile
    const left = Math.max(0, freeAt - performance.now());
    const { key, values, text, action, actionKey } = describe({ ...problem, retryAfterMs: left || null });
    const when = new Date(Date.now() + left).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    const sentence = this.#part("problem").querySelector("p");
    sentence.textContent = text ?? t(key, { ...values, when });
    if (begins) this.#part("problem-said").textContent = sentence.textContent; // once, not each second of a countdown
    const button = this.#part("problem").querySelector("button");
    button.hidden = actionKey === null;
    button.disabled = action === "later" && left > 0;
    if (actionKey) button.textContent = button.disabled ? t("act_wait", values) : t(actionKey);
    if (button.disabled) setTimeout(() => this.#explain(problem, freeAt), TICK_MS);
  }

  #summarise(summary) {
    const words = summaryOf(summary).map(([key, values]) =>
      key === "clock" ? clock(values.durationMs) : t(key, key === "cost" ? { cost: money(values.cost) } : values));
    this.#part("summary").querySelector("p").textContent = words.join(" · ");
    this.#tell(words.join(" · "), SETTLE_MS);
    this.#part("summary").querySelector("[data-act=replay]").hidden = !this.#recorded || !this.onReplay || !summary.durationMs;
    this.#part("summary").querySelector("[data-act=start]").textContent = t(summary.reason === "reloaded" ? "act_resume" : "act_start");
  }
}
