"""How good the connection to the page is: round trips as the page measured them, over a session. Pure."""

from __future__ import annotations

from realtime.percentiles import percentile

KEPT = 1_000  # the latest: more than an hour of heartbeats
SMOOTHING = 16  # of the jitter, as RTP receivers do it (RFC 3550, section 6.4.1)
TOLD_EVERY_MS, FEW = 60_000, 4  # not before so many are known


class LinkQuality:
    """Takes round trips in ms and sums them up."""

    def __init__(self) -> None:
        self.rtts_ms: list[float] = []
        self.jitter_ms = 0.0
        self.told_ms: int | None = None  # when an event last told of it

    def take(self, rtt_ms: float) -> None:
        """One more round trip."""
        if self.rtts_ms:
            self.jitter_ms += (abs(rtt_ms - self.rtts_ms[-1]) - self.jitter_ms) / SMOOTHING
        self.rtts_ms.append(rtt_ms)
        del self.rtts_ms[:-KEPT]

    def due(self, now_ms: int) -> bool:
        """Whether it is time to tell how it was: about once a minute."""
        if len(self.rtts_ms) < FEW or (self.told_ms is not None and now_ms - self.told_ms < TOLD_EVERY_MS):
            return False
        self.told_ms = now_ms
        return True

    def counters(self) -> dict[str, int | None]:
        """Median and slow round trips, and jitter, in whole ms; None when nothing was measured."""
        if not self.rtts_ms:
            return {"rtt_ms": None, "rtt_p95_ms": None, "jitter_ms": None}
        median, slow = (percentile(self.rtts_ms, share) or 0.0 for share in (0.5, 0.95))
        return {"rtt_ms": round(median), "rtt_p95_ms": round(slow), "jitter_ms": round(self.jitter_ms)}
