"""Whether the wall clock may be believed when it says that a deadline is over. Pure; both clocks are arguments.

Leases are written by the wall clock, the only one that processes share. When that clock is put, every lease looks
expired, or long, until its process has renewed it; a machine that slept wakes up in the same state.
"""

from __future__ import annotations

TOLERANCE_S = 2.0  # more than a clock that is slewed gains between two looks


class SteadyClock:
    """Compares the wall clock with the monotonic one, which nobody puts."""

    def __init__(self, wall_s: float, monotonic_s: float) -> None:
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._believed_from_s = monotonic_s

    def look(self, wall_s: float, monotonic_s: float, settle_s: float) -> bool:
        """Whether the clock went on evenly, and did for `settle_s` since it last did not."""
        drift_s = (wall_s - self._wall_s) - (monotonic_s - self._monotonic_s)
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        if abs(drift_s) > TOLERANCE_S:
            self._believed_from_s = monotonic_s + settle_s
        return monotonic_s >= self._believed_from_s

    def doubt(self, monotonic_s: float, settle_s: float) -> None:
        """Leases could not be renewed just now, here or elsewhere: they say nothing for `settle_s`."""
        self._believed_from_s = max(self._believed_from_s, monotonic_s + settle_s)
