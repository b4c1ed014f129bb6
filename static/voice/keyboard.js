// The panel's keys. Off while typing, apart from Escape.

const TYPING = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]";

/** `act(name)` is called with mute, talk-down, talk-up, escape, captions or help; `live()` tells if a call runs. */
export function listenToKeys({ act, live, talkMode }) {
  let held = false;
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
    if (event.key === "m" || event.key === "M") take(event, "mute");
    else if (event.key === "c" || event.key === "C") take(event, "captions");
    else if (event.key === "?") take(event, "help");
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
