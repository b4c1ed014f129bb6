// The page's words, translated on the server and read once. Nothing else in JavaScript holds text for people.

let words = null;

/** The text of a key, with `{name}` replaced. A key that is missing shows itself, so that it is noticed, unless there is something better. */
export function t(key, values = {}, better = key) {
  words ??= JSON.parse(document.getElementById("strings").textContent);
  return (words[key] ?? better).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Dollars in the page's language; cents have a third place. */
export const money = (usd) =>
  new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: "USD", maximumFractionDigits: usd < 0.1 ? 3 : 2 }).format(usd);

/** Minutes and seconds, as "4:12". */
export function clock(ms) {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
