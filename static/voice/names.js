// Which names of a call's states mean that it is live, or under way at all. Pure.

const LIVE = new Set(["listening", "hearing", "thinking", "speaking", "reconnecting"]);

export const isLive = ({ name }) => LIVE.has(name);
export const isBusy = (state) => isLive(state) || state.name === "checking" || state.name === "connecting";
