// What measured levels say about the microphone, the room and the echo. Levels are in dB below full scale. Pure.

export const LOUD_DB = -45; // a voice near the microphone is above this
const QUIET_DB = -55; // a room below this disturbs nobody
const ECHO_DB = 12; // own sound that is this far above the room comes back into the microphone

/** Decibels below full scale of a level of 0 to 1; -100 for silence. */
export const decibels = (value) => (value > 0.00001 ? 20 * Math.log10(value) : -100);

/**
 * What lies under a voice: the level that a fifth of the measured ones stay below. Pauses between words are enough
 * to find it; null while there are too few measurements to say.
 */
export function noiseFloor(levels) {
  if (levels.length < 20) return null;
  return levels.toSorted((a, b) => a - b)[Math.floor(levels.length / 5)];
}

/** The key of the sentence about a room with this noise floor. */
export const roomSays = (floor) => (floor < QUIET_DB ? "room_quiet" : floor < LOUD_DB ? "room_some_noise" : "room_noisy");

/**
 * The key of the sentence about echo. `cancels`: what the browser says of itself. `played`: levels at the microphone while the
 * page made sound; empty when it made none.
 */
export function echoSays({ cancels, floor = null, played = [] }) {
  const back = played.toSorted((a, b) => a - b)[Math.floor(played.length / 2)]; // a clap at the wrong moment is no echo
  if (floor !== null && back > Math.max(floor + ECHO_DB, QUIET_DB)) return "echo_heard";
  return cancels === false ? "use_headphones" : "echo_removed";
}
