// The drawer of details: a call's facts as text and three bars. Loaded when somebody opens it first.

import { money, t } from "../strings.js";
import { percentile, tripOf } from "./percentile.js";
import { signalOf } from "./status.js";

const SECOND = 1_000;
const STAGES = ["answerMs", "soundMs", "heardMs"];
const ms = (value) => (value === null ? "–" : t("milliseconds", { ms: Math.round(value) }));

export default class Details {
  #root;
  #call;

  constructor(root, { call }) {
    this.#root = root;
    this.#call = call;
    root.querySelector("[data-part=filter]").addEventListener("input", () => this.show());
    root.querySelector("[data-part=copy]").addEventListener("click", () => navigator.clipboard.writeText(call.facts.sessionId));
  }

  #set(name, text) {
    this.#root.querySelector(`[data-fact=${name}]`).textContent = text || "–";
  }

  /** Bring everything up to date. Called once a second while the drawer is open. */
  show() {
    const { facts, state } = this.#call;
    const { turns, usage, config, droppedMs, underruns } = facts;
    const trip = tripOf(facts.trips);
    const heard = turns.map((turn) => turn.heardMs);
    this.#set("connection", `${t(`signal_${signalOf(state)}`)}${trip ? `, ${ms(trip.medianMs)} ± ${ms(trip.jitterMs)}` : ""}`);
    this.#set("turns", heard.length ? t("turns_fact", { count: heard.length, half: ms(percentile(heard, 0.5)), most: ms(percentile(heard, 0.95)) }) : "");
    this.#set("model", config?.model);
    this.#set("voice", config?.voice);
    this.#set("turn-detection", config && [config.turn_detection.type, config.turn_detection.silence_duration_ms && ms(config.turn_detection.silence_duration_ms)].filter(Boolean).join(", "));
    this.#set("sound", `PCM16, 24 kHz → ${this.#call.speaker.rateHz / SECOND || "–"} kHz`);
    this.#set("buffer", t("buffer_fact", { buffered: ms(facts.bufferedMs), dropped: ms(droppedMs), underruns }));
    this.#set("cost", usage && [usage.cost_usd === null ? "" : money(usage.cost_usd), `↑ ${Math.round(usage.audio_in_ms / SECOND)} s ↓ ${Math.round(usage.audio_out_ms / SECOND)} s`].filter(Boolean).join(", "));
    this.#set("session", facts.sessionId);
    this.#showTurn(turns.at(-1));
    this.#showEvents(facts.events);
  }

  /** The stages of the last answer under one another, as long as they took. */
  #showTurn(turn) {
    let before = 0;
    for (const stage of STAGES) {
      const row = this.#root.querySelector(`[data-stage=${stage}]`);
      const at = turn?.[stage] ?? null;
      row.querySelector("span").textContent = ms(at);
      const bar = row.querySelector("i");
      bar.style.marginInlineStart = `${turn ? (100 * before) / turn.heardMs : 0}%`;
      bar.style.inlineSize = `${turn ? (100 * Math.max(0, (at ?? before) - before)) / turn.heardMs : 0}%`;
      before = at ?? before;
    }
  }

  #showEvents(events) {
    const wanted = this.#root.querySelector("[data-part=filter]").value.trim().toLowerCase();
    const began = events[0]?.at ?? 0;
    const rows = events.filter(({ type }) => type.includes(wanted)).slice(-50).reverse().map(({ at, type }) => {
      const row = document.createElement("li");
      row.textContent = `${((at - began) / SECOND).toFixed(1)} s  ${type}`;
      return row;
    });
    this.#root.querySelector("[data-part=events]").replaceChildren(...rows);
  }
}
