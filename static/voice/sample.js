// How a voice sounds: plays the site's sample of it, one at a time. Loaded when it is asked for.

import { t } from "../strings.js";

const audio = new Audio();
let playing = null; // {button, over}

/**
 * Play the sample of the voice in `select`, or stop it. `button.dataset.url` is the sample of the site's own voice.
 * Resolves when it is over: to "" or to a sentence that says why it could not be heard.
 */
export async function toggleSample(button, select) {
  const again = playing?.button === button;
  stop();
  if (again) return "";
  const over = new Promise((resolve) => (playing = { button, over: resolve }));
  button.ariaPressed = true;
  button.querySelector("use").setAttribute("href", "#i-stop");
  audio.src = select.value ? button.dataset.url.replace(/site$/, select.value) : button.dataset.url;
  audio.onended = stop;
  audio.play().catch(({ name }) => name !== "AbortError" && stop(t("sample_failed")));
  return over;
}

/** End what plays; `why` is what its `toggleSample` resolves to. */
export function stop(why = "") {
  if (!playing) return;
  const { button, over } = playing;
  playing = null;
  audio.pause();
  button.ariaPressed = false;
  button.querySelector("use").setAttribute("href", "#i-play");
  over(typeof why === "string" ? why : "");
}
