// The panel's keys: which letter does what, as the person chose it. Off while typing, apart from Escape.

import { keep, kept } from "./kept_choices.js";

const TYPING = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]";
const LETTERS = { mute: "m", captions: "c", details: "d", help: "?" }; // an empty one is switched off

/**
 * `act(name)` is called with mute, talk-down, talk-up, escape, captions, details or help; `live()` tells if a call runs.
 * `onLetter(name, letter)` is told each act's letter, at first and when it changes; an empty one is none.
 * `fields`: the inputs in which the letters are shown and changed, each with the name of its act in `data-key`.
 */
export function listenToKeys({ act, live, talkMode, onLetter, fields }) {
  const letters = { ...LETTERS, ...kept().keys };
  let held = false;
  for (const field of fields) {
    const { key: name } = field.dataset;
    field.value = letters[name];
    onLetter(name, letters[name]);
    field.addEventListener("change", () => {
      letters[name] = field.value = field.value.trim().toLowerCase();
      onLetter(name, letters[name]);
      keep({ keys: letters });
    });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.(TYPING);
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!live() || event.defaultPrevented) return;
    if (event.key === "Escape" && plain && !event.target.closest?.("[type=search], [role=menu], dialog")) return take(event, "escape");
    if (typing || !plain || event.repeat) return held && event.code === "Space" && event.preventDefault();
    if (event.code === "Space" && talkMode() && !event.target.closest?.("button, a, summary")) {
      held = true;
      return take(event, "talk-down");
    }
    const name = Object.keys(letters).find((one) => letters[one] && letters[one] === event.key.toLowerCase());
    if (name) take(event, name);
  });
  const release = () => {
    if (held) act("talk-up");
    held = false;
  };
  document.addEventListener("keyup", (event) => event.code === "Space" && release());
  addEventListener("blur", release); // the key's end would not be told to us

  function take(event, name) {
    event.preventDefault();
    act(name);
  }
}
