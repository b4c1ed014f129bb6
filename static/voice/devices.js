// The lists of microphones and speakers to choose from. Their names are known once the microphone is allowed.

import { t } from "../strings.js";

/** Fill a <select> with the devices of a kind ("audioinput", "audiooutput"), the chosen one selected. Resolves to how many there are. */
export async function listDevices(kind, field, chosen) {
  const found = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  const devices = found.filter((one) => one.kind === kind);
  const named = devices.filter((one) => one.deviceId && one.deviceId !== "default");
  field.replaceChildren(new Option(t("system_default"), ""), ...named.map((one) => new Option(one.label, one.deviceId)));
  field.value = named.some((one) => one.deviceId === chosen) ? chosen : "";
  return devices.length;
}
