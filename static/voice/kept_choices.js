// What was chosen for this device: microphone, output, volume, keys. Kept in this browser, since the next device differs.

const KEY = "voice.devices";

export function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // storage may be forbidden
  }
}

export function keep(change) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...kept(), ...change }));
  } catch {
    // storage may be forbidden: then the choice lasts as long as the page
  }
}
