// The voice test page: each step of a call with its time, from the same call and panel as the chat.

import { Api } from "../chat/api.js";
import { t } from "../strings.js";
import { VoiceDoor } from "./door.js";
import { LevelMeter } from "./level_meter.js";
import { isBusy } from "./names.js";
import { describe } from "./problems.js";
import { LOUD_DB, echoSays, noiseFloor, roomSays } from "./room.js";

const by = (id) => document.getElementById(id);
const bootstrap = JSON.parse(by("bootstrap").textContent);
const api = new Api(bootstrap.urls);
const steps = [...document.querySelectorAll("#steps [data-step]")];
const door = new VoiceDoor({
  button: by("voice-button"), mint: (fields) => api.mint(() => ({ conversation_id: null, ...fields })),
  check: { button: by("check-microphone"), dialog: by("mic-check") },
  panel: {
    root: by("voice-panel"), preferences: bootstrap.preferences, onPreference: (change) => api.prefer(change).catch(() => {}),
    urls: { login: `${bootstrap.urls.login}?next=${location.pathname}`, usage: bootstrap.urls.usage },
  },
});
const call = await door.load();
let startedAt = 0;

function begin() {
  startedAt = performance.now();
  for (const step of steps) {
    step.dataset.done = "";
    delete step.dataset.ms;
    step.querySelector(".time").textContent = step.querySelector(".detail").textContent = "";
  }
  by("advice").textContent = "";
  pointAtNext();
  meter.start();
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

/** The microphone's step is done when it hears something. What the levels say of the room is told when it changes. */
const meter = new LevelMeter({
  analyser: () => call.microphone.analyser, element: by("level"),
  onLevel: (db) => {
    if (db > LOUD_DB) done("level");
    const floor = noiseFloor(meter.levels);
    if (floor === null || meter.levels.length % 10) return;
    const advice = `${t(roomSays(floor), { db: Math.round(floor) })} ${t(echoSays({ cancels: call.microphone.cancelsEcho }))}`;
    if (by("advice").textContent !== advice) by("advice").textContent = advice;
  },
});

call.addEventListener("step", ({ detail }) => done(detail.step));
call.addEventListener("change", ({ detail: { state, previous } }) => {
  if (isBusy(state) && !isBusy(previous)) begin();
  if (isBusy(state) || !isBusy(previous)) return;
  meter.stop();
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
