// What measured times come to. Pure.

/** The value that `share` (0 to 1) of the numbers are not above; null when there are none. */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.length ? sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] : null;
}

/** {medianMs, jitterMs}: how long a message takes there and back, and how far most trips are from that; null before the first. */
export function tripOf(trips) {
  const medianMs = percentile(trips, 0.5);
  if (medianMs === null) return null;
  return { medianMs, jitterMs: percentile(trips.map((ms) => Math.abs(ms - medianMs)), 0.9) };
}
