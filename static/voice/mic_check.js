// The check of the microphone before a call: its level, the room, the echo, and two seconds to hear oneself. Nothing leaves the page.

import { t } from "../strings.js";
import { listDevices } from "./devices.js";
import { keep, kept } from "./kept_choices.js";
import { LevelMeter } from "./level_meter.js";
import { Microphone } from "./microphone.js";
import { FRAME_SAMPLES, RATE_HZ } from "./pcm.js";
import { describe } from "./problems.js";
import { LOUD_DB, echoSays, noiseFloor, roomSays } from "./room.js";
import { Speaker } from "./speaker.js";

const RECORDED_FRAMES = (2 * RATE_HZ) / FRAME_SAMPLES;
const TELL_EVERY = 10; // measurements: a verdict that changes more often cannot be read

export class MicCheck {
  #dialog;
  #microphone = new Microphone((frame) => this.#take(frame));
  #speaker = new Speaker({ position() {}, started() {}, cleared() {}, underrun() {}, stopped: () => this.#played() });
  #meter;
  #recording = null; // frames so far, while two seconds are recorded
  #playing = null; // levels so far, while they are played
  #sample = null; // the module that plays voices, once it was needed
  #echo = []; // levels while something was played

  /** `onStart()` begins a call; `onVoice(voice)` keeps which one was chosen. One for a page: its sound nodes are kept. */
  constructor({ dialog, onStart, onVoice }) {
    this.#dialog = dialog;
    this.#meter = new LevelMeter({ analyser: () => this.#microphone.analyser, element: this.#part("level"), onLevel: (db) => this.#measured(db) });
    dialog.addEventListener("close", () => this.#stop());
    this.#part("hear").addEventListener("click", () => this.#record());
    this.#part("done").addEventListener("click", () => dialog.close());
    this.#part("start").addEventListener("click", () => {
      if (!this.#part("problem").hidden) return this.open();
      dialog.close();
      onStart();
    });
    const voice = dialog.querySelector("[data-set=voice]");
    voice.addEventListener("change", () => onVoice(voice.value));
    dialog.querySelector("[data-act=sample]").addEventListener("click", ({ currentTarget }) => this.#hearVoice(currentTarget, voice));
    this.#part("microphone").addEventListener("change", ({ target }) => (keep({ microphone: target.value }), this.#listen()));
  }

  #part(name) {
    return this.#dialog.querySelector(`[data-check=${name}]`);
  }

  /** Call it inside the person's tap, or soon after one that made the contexts. */
  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#say("check_speak");
    this.#listen();
  }

  async #listen() {
    this.#tellProblem("");
    this.#part("hear").disabled = true;
    this.#part("verdict").textContent = "";
    this.#recording = this.#playing = null;
    this.#echo = [];
    try {
      if (!(await this.#microphone.open(kept().microphone)) || !(await this.#speaker.open())) return;
    } catch (error) {
      const { key, values } = describe({ code: error.code ?? "mic.unsupported" });
      return this.#tellProblem(t(key, values));
    }
    if (!this.#dialog.open) return this.#stop();
    this.#part("hear").disabled = false;
    this.#meter.start();
    listDevices("audioinput", this.#part("microphone"), kept().microphone);
  }

  /** The sentence takes the place of what cannot be used without a microphone; empty when all is well. */
  #tellProblem(sentence) {
    const problem = this.#part("problem");
    problem.textContent = sentence;
    problem.hidden = !sentence;
    this.#part("say").hidden = this.#part("microphone").parentElement.hidden = this.#part("hear").hidden = !problem.hidden;
    this.#part("start").textContent = t(sentence ? "act_again" : "start_voice");
  }

  #say(key) {
    if (this.#part("say").textContent !== t(key)) this.#part("say").textContent = t(key);
  }

  #measured(db) {
    if (db > LOUD_DB && !this.#recording && !this.#playing && !this.#echo.length) this.#say("check_heard");
    this.#playing?.push(db);
    const { levels } = this.#meter;
    const floor = noiseFloor(levels);
    if (floor === null || levels.length % TELL_EVERY) return;
    const echo = echoSays({ cancels: this.#microphone.cancelsEcho, floor, played: this.#echo });
    const verdict = `${t(roomSays(floor), { db: Math.round(floor) })} ${t(echo)}`;
    if (this.#part("verdict").textContent !== verdict) this.#part("verdict").textContent = verdict;
  }

  async #hearVoice(button, voice) {
    this.#sample ??= await import("./sample.js");
    const why = await this.#sample.toggleSample(button, voice);
    if (why) this.#part("say").textContent = why;
  }

  #record() {
    this.#part("hear").disabled = true;
    this.#say("check_recording");
    this.#recording = [];
  }

  #take(frame) {
    if (!this.#recording) return;
    if (this.#recording.push(frame) < RECORDED_FRAMES) return;
    this.#say("check_playing");
    this.#playing = [];
    this.#speaker.begin("check", 0);
    for (const one of this.#recording) this.#speaker.play(one);
    this.#speaker.end("check");
    this.#recording = null;
  }

  #played() {
    this.#echo = this.#playing ?? [];
    this.#playing = null;
    this.#say("check_played");
    this.#part("hear").disabled = false;
  }

  #stop() {
    this.#sample?.stop();
    this.#meter.stop();
    this.#recording = this.#playing = null;
    this.#microphone.stop();
    this.#speaker.stop();
  }
}
