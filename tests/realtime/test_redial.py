"""How long to wait before the upstream is dialled again, and when to stop."""

from __future__ import annotations

import random

from realtime.exceptions import UpstreamLost, UpstreamRefused
from realtime.redial import STEADY_MS, Redial


def redial(tries: int = 3) -> Redial:
    return Redial(tries, random.Random(1))


def test_the_tries_have_an_end() -> None:
    trying = redial()
    waits = [trying.delay_ms(UpstreamLost(), 0) for _ in range(4)]
    assert None not in waits[:3]
    assert waits[3] is None


def test_an_upstream_that_is_ready_and_gone_at_once_is_not_dialled_for_ever() -> None:
    trying = redial()
    waits = []
    for number in range(4):
        trying.ready(number * 100)
        waits.append(trying.delay_ms(UpstreamLost(), number * 100 + 50))
    assert None not in waits[:3]
    assert waits[3] is None


def test_one_that_stayed_for_a_while_has_worked() -> None:
    trying = redial()
    for _ in range(3):
        assert trying.delay_ms(UpstreamLost(), 0) is not None
    trying.ready(1_000)
    assert trying.delay_ms(UpstreamLost(), 1_000 + STEADY_MS) is not None


def test_a_rate_limit_is_waited_for_as_long_as_it_asks_within_a_bound() -> None:
    assert redial().delay_ms(UpstreamRefused(429, 7.0), 0) == 7_000
    assert redial().delay_ms(UpstreamRefused(429, 11.0), 0) is None
    assert redial().delay_ms(UpstreamRefused(401, None), 0) is None
