"""How long to wait before the upstream is dialled again, and when to stop. Pure; the randomness is an argument."""

from __future__ import annotations

import random

from realtime.exceptions import UpstreamError, UpstreamRefused

FIRST_CEILING_MS, LAST_CEILING_MS = 500, 8_000
MAX_RETRY_AFTER_S = 10.0
MAX_RATE_LIMIT_RETRIES = 2
STEADY_MS = 3_000  # one that is lost sooner has not worked, whatever it said


class Redial:
    """Backoff with full jitter; a rate limit is waited for as long as the upstream asks, within a bound."""

    def __init__(self, tries: int, rng: random.Random) -> None:
        self.max_tries = tries
        self.rng = rng
        self.tries = self.rate_limit_tries = 0
        self.ready_ms: int | None = None  # since when the present upstream works

    def ready(self, now_ms: int) -> None:
        """An upstream is ready. When it stays for a while, the next loss begins anew."""
        self.ready_ms = now_ms

    def delay_ms(self, error: UpstreamError, now_ms: int) -> int | None:
        """An upstream is lost, or could not be had: how long to wait before the next try; None when there is none."""
        if self.ready_ms is not None and now_ms - self.ready_ms >= STEADY_MS:
            self.tries = self.rate_limit_tries = 0
        self.ready_ms = None
        if not error.retryable:
            return None
        self.tries += 1
        if isinstance(error, UpstreamRefused) and error.status == 429:
            self.rate_limit_tries += 1
            wait_s = error.retry_after_s if error.retry_after_s is not None else 1.0
            if self.rate_limit_tries > MAX_RATE_LIMIT_RETRIES or wait_s > MAX_RETRY_AFTER_S:
                return None
            return int(wait_s * 1000)
        if self.tries > self.max_tries:
            return None
        return self.rng.randint(0, min(LAST_CEILING_MS, FIRST_CEILING_MS * 2 ** (self.tries - 1)))
