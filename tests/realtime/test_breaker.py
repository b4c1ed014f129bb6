"""When the upstream refuses everybody, nobody dials for a while."""

import pytest

from realtime.breaker import FAILURES, PROBE_EVERY_S, WINDOW_S, Breaker
from realtime.exceptions import UpstreamError, UpstreamRefused, UpstreamUnreachable, UpstreamUntrusted


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamRefused(401), "upstream.auth"),
        (UpstreamRefused(403), "upstream.auth"),
        (UpstreamRefused(404), "upstream.config"),
        (UpstreamRefused(302), "upstream.config"),
        (UpstreamUntrusted(), "upstream.untrusted"),
    ],
)
def test_what_no_retry_mends_opens_it_for_all_at_once(error: UpstreamError, code: str) -> None:
    breaker = Breaker()
    breaker.failed(error, 0)
    refusal = breaker.refuses(1)
    assert refusal is not None
    assert refusal.code == code


def test_failures_in_a_row_open_it_and_scattered_ones_do_not() -> None:
    breaker = Breaker()
    for number in range(FAILURES * 3):
        breaker.failed(UpstreamUnreachable(), number * WINDOW_S)
    assert breaker.refuses(1e6) is None
    for _ in range(FAILURES):
        breaker.failed(UpstreamUnreachable(), 1e6)
    assert breaker.refuses(1e6 + 1) is not None


def test_one_dial_an_interval_is_let_through_and_success_closes_it() -> None:
    breaker = Breaker()
    breaker.failed(UpstreamRefused(403), 0)
    assert breaker.refuses(PROBE_EVERY_S) is None
    assert breaker.refuses(PROBE_EVERY_S + 1) is not None
    breaker.succeeded()
    assert breaker.refuses(PROBE_EVERY_S + 2) is None


def test_the_limit_of_one_caller_says_nothing_about_the_others() -> None:
    breaker = Breaker()
    for _ in range(FAILURES * 2):
        breaker.failed(UpstreamRefused(429), 0)
    assert breaker.refuses(0) is None
