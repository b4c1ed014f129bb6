"""The breaker of a process: when the upstream refuses everybody, nobody dials for a while. Pure; seconds are arguments.

What no retry mends, such as a refused key, an unknown model or a false certificate, is not the caller's fault: it opens
at once. Other failures open it when they come in a row.
While open, one dial is let through now and then to see whether the fault is gone.
"""

from __future__ import annotations

from collections import deque

from realtime.exceptions import UpstreamError, UpstreamRefused

FAILURES, WINDOW_S = 5, 30.0
PROBE_EVERY_S = 15.0


class Breaker:
    """Shared by all relays of a process."""

    def __init__(self) -> None:
        self.error: UpstreamError | None = None  # why it is open; None: closed
        self.failures: deque[float] = deque()
        self.next_probe_s = 0.0

    def refuses(self, now_s: float) -> UpstreamError | None:
        """The error that a dial would get, or None: dial. While open, one dial per interval is let through."""
        if self.error is None:
            return None
        if now_s >= self.next_probe_s:
            self.next_probe_s = now_s + PROBE_EVERY_S
            return None
        return self.error

    def failed(self, error: UpstreamError, now_s: float) -> None:
        """A dial failed. A limit of one caller (429) says nothing about the others."""
        if isinstance(error, UpstreamRefused) and error.status == 429:
            return
        if not error.retryable:
            self._open(error, now_s)
            return
        self.failures.append(now_s)
        while self.failures[0] <= now_s - WINDOW_S:
            self.failures.popleft()
        if len(self.failures) >= FAILURES:
            self._open(error, now_s)

    def succeeded(self) -> None:
        """A dial worked: closed."""
        self.error = None
        self.failures.clear()

    def _open(self, error: UpstreamError, now_s: float) -> None:
        self.error = error
        self.next_probe_s = now_s + PROBE_EVERY_S
