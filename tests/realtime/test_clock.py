"""A clock that was put is not believed until everybody has written by the new one."""

import pytest

from realtime.clock import SteadyClock

NOON = 1_780_315_200.0  # seconds since 1970


def test_a_clock_that_goes_on_evenly_is_believed() -> None:
    clock = SteadyClock(NOON, 100.0)
    assert clock.look(NOON, 100.0, settle_s=30)
    assert clock.look(NOON + 9 * 3600, 100.0 + 9 * 3600 + 1.5, settle_s=30)


@pytest.mark.parametrize("by_s", [86_400, 31, -600])
def test_a_clock_that_was_put_is_believed_again_when_it_has_settled(by_s: float) -> None:
    clock = SteadyClock(NOON, 100.0)
    put = NOON + by_s
    assert not clock.look(put + 15, 115.0, settle_s=30)
    assert not clock.look(put + 44, 144.0, settle_s=30)
    assert clock.look(put + 45, 145.0, settle_s=30)


def test_each_new_jump_starts_the_wait_anew() -> None:
    clock = SteadyClock(NOON, 100.0)
    assert not clock.look(NOON + 600, 110.0, settle_s=30)
    assert not clock.look(NOON, 130.0, settle_s=30)
    assert not clock.look(NOON + 29, 159.0, settle_s=30)
    assert clock.look(NOON + 30, 160.0, settle_s=30)


def test_after_a_failed_round_leases_are_given_the_time_to_be_renewed() -> None:
    clock = SteadyClock(NOON, 100.0)
    clock.doubt(110.0, settle_s=30)
    clock.doubt(120.0, settle_s=30)
    assert not clock.look(NOON + 49, 149.0, settle_s=30)
    assert clock.look(NOON + 50, 150.0, settle_s=30)
