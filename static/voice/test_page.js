// The voice test page: each step of a call with its time, from the same call and panel as the chat.

import { Api } from "../chat/api.js";
import { t } from "../strings.js";
import { VoiceDoor } from "./door.js";
import { isBusy } from "./names.js";
import { decibels, noiseFloor } from "./pcm.js";
import { describe } from "./problems.js";

const LEVEL_MS = 100;
const LOUD_DB = -45; // a voice near the microphone is above this
const QUIET_DB = -55; // a room below this disturbs nobody
const by = (id) => document.getElementById(id);
const bootstrap = JSON.parse(by("bootstrap").textContent);
const api = new Api(bootstrap.urls);
const steps = [...document.querySelectorAll("#steps [data-step]")];
const door = new VoiceDoor({
  button: by("voice-button"), mint: (fields) => api.mint(() => ({ conversation_id: null, ...fields })),
  panel: { root: by("voice-panel"), preferences: bootstrap.preferences, loginUrl: `${by("voice-panel").dataset.login}?next=${location.pathname}` },
});
const call = await door.load();
let startedAt = 0;
let meter = null;
let levels = [];

function begin() {
  startedAt = performance.now();
  for (const step of steps) {
    step.dataset.done = "";
    delete step.dataset.ms;
    step.querySelector(".time").textContent = step.querySelector(".detail").textContent = "";
  }
  levels = [];
  by("advice").textContent = "";
  pointAtNext();
  clearInterval(meter);
  meter = setInterval(showLevel, LEVEL_MS);
}

const pointAtNext = () => {
  const next = steps.find((step) => step.dataset.done !== "yes");
  if (next) next.dataset.done = "now";
};

function done(name) {
  const step = steps.find((one) => one.dataset.step === name);
  if (!step || step.dataset.done === "yes") return;
  const ms = Math.round(performance.now() - startedAt);
  step.dataset.done = "yes";
  step.dataset.ms = ms;
  step.querySelector(".time").textContent = t("milliseconds", { ms });
  pointAtNext();
}

/** What the measured levels and the browser say about room and echo; the live region hears of it only when it changes. */
function advise() {
  const floor = noiseFloor(levels);
  if (floor === null) return;
  const room = t(floor < QUIET_DB ? "room_quiet" : floor < LOUD_DB ? "room_some_noise" : "room_noisy", { db: Math.round(floor) });
  const echo = call.microphone.cancelsEcho === false ? t("use_headphones") : t("echo_removed");
  const advice = `${room} ${echo}`;
  if (levels.length % 10 === 0 && by("advice").textContent !== advice) by("advice").textContent = advice;
}

/** The microphone's step is done when it hears something, and shows how loud that is. */
function showLevel() {
  const analyser = call.microphone.analyser;
  if (!analyser) return;
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(wave);
  const db = decibels(Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length));
  by("level").value = Math.max(-70, db);
  levels.push(db);
  advise();
  if (db > LOUD_DB) done("level");
}

call.addEventListener("step", ({ detail }) => done(detail.step));
call.addEventListener("change", ({ detail: { state, previous } }) => {
  if (isBusy(state) && !isBusy(previous)) begin();
  if (isBusy(state) || !isBusy(previous)) return;
  clearInterval(meter);
  for (const step of steps) if (step.dataset.done === "now") step.dataset.done = state.name === "error" ? "no" : "";
  if (state.name !== "error") return;
  const { key, values, text } = describe(state.problem);
  const failed = steps.find((step) => step.dataset.done === "no");
  if (failed) failed.querySelector(".detail").textContent = text ?? t(key, values);
});
call.addEventListener("relay", ({ detail: { type, role, text } }) => {
  if (type !== "transcript.done" || !text) return;
  by(role === "user" ? "heard" : "answered").textContent = text;
});
addEventListener("beforeunload", (event) => isBusy(call.state) && event.preventDefault());
