"""The marks of an answered turn, from the end of speech to the first sample heard. Pure; ms since the session began."""

from __future__ import annotations

from dataclasses import dataclass

from realtime.effects import RecordTurn

# A sample that was handed to the loudspeaker is heard later: wireless headphones take up to half a second.
MOST_AHEAD_MS = 1_000


@dataclass(slots=True)
class TurnMarks:
    """When each stage of one answer was reached; None when it was not."""

    response_id: str
    input_ended_ms: int | None = None  # the upstream said that speech stopped, or the typed message arrived
    silence_ms: int | None = None  # which the upstream had waited for before it said so
    created_ms: int | None = None
    item_id: str = ""
    first_delta_ms: int | None = None
    first_heard_ms: int | None = None
    status: str = "in_progress"
    heard_ms: int | None = None
    generated_ms: int | None = None

    def heard(self, at_ms: int | None, now_ms: int) -> bool:
        """The first sample was heard: at `at_ms` by the page's word, or now. False: that was known, or cannot be."""
        if self.first_heard_ms is not None or self.first_delta_ms is None:
            return False
        at_ms = now_ms if at_ms is None else min(at_ms, now_ms + MOST_AHEAD_MS)
        self.first_heard_ms = max(self.first_delta_ms, at_ms)
        return True

    def record(self) -> RecordTurn:
        """The turn's durations; each is null when one of its ends is missing."""
        return RecordTurn(
            response_id=self.response_id,
            item_id=self.item_id,
            status=self.status,
            input_ended_ms=self.input_ended_ms,
            silence_ms=self.silence_ms,
            response_created_ms=self.created_ms,
            endpointing_ms=_between(self.input_ended_ms, self.created_ms),
            first_delta_ms=_between(self.created_ms, self.first_delta_ms),
            playout_start_ms=_between(self.first_delta_ms, self.first_heard_ms),
            response_latency_ms=self._latency_ms(),
            heard_ms=self.heard_ms,
            generated_ms=self.generated_ms,
        )

    def _latency_ms(self) -> int | None:
        """The answer latency: all that the person waited, from the end of speech itself where it is told."""
        since_told_ms = _between(self.input_ended_ms, self.first_heard_ms)
        return None if since_told_ms is None else (self.silence_ms or 0) + since_told_ms


def _between(start: int | None, stop: int | None) -> int | None:
    return None if start is None or stop is None else max(0, stop - start)
