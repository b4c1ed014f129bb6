"""Microphone audio: every sample goes up once, is held, or is counted as dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.effects import SendUpstreamAudio
from realtime.exceptions import TooFast
from realtime.intake import MAX_DROPPED_MS, QUIET_AUDIO_MS, Intake

FRAME = bytes(range(256)) * 7 + bytes(128)  # 40 ms


def up(effects: list) -> bytes:
    assert all(isinstance(effect, SendUpstreamAudio) for effect in effects)
    return b"".join(effect.pcm for effect in effects)


def frames(count: int) -> list[bytes]:
    return [number.to_bytes(2, "little") * 960 for number in range(count)]


def test_audio_goes_up_as_it_comes_when_the_upstream_is_ready() -> None:
    intake = Intake(held_ms=20_000)
    sent = b"".join(up(intake.take(f, n * 40, ready=True, speaking=False)) for n, f in enumerate(frames(100)))
    assert sent == b"".join(frames(100))
    assert intake.dropped_ms == 0


def test_audio_for_an_upstream_that_is_not_ready_waits_within_its_bound() -> None:
    intake = Intake(held_ms=400)
    for number, frame in enumerate(frames(20)):
        assert intake.take(frame, number * 40, ready=False, speaking=False) == []
    assert up(intake.ready(speaking=False)) == b"".join(frames(20)[10:])
    assert intake.dropped_ms == 400
    assert intake.ready(speaking=False) == []


@given(st.integers(0, 60), st.booleans())
def test_the_next_upstream_hears_again_what_was_no_item_yet(count: int, speaking: bool) -> None:
    intake = Intake(held_ms=60_000)
    for number, frame in enumerate(frames(count)):
        intake.take(frame, number * 40, ready=True, speaking=speaking)
    intake.lost()
    again = up(intake.ready(speaking=speaking))
    whole = b"".join(frames(count))
    assert again == (whole if speaking else whole[-QUIET_AUDIO_MS * 48 :])
    intake.settled()
    intake.lost()
    assert intake.ready(speaking=speaking) == []


def test_audio_faster_than_real_time_is_dropped_counted_and_in_the_end_refused() -> None:
    intake = Intake(held_ms=1_000)
    sent = sum(len(up(intake.take(FRAME, 0, ready=True, speaking=False))) for _ in range(100))
    assert sent == 2_000 * 48  # the burst
    assert intake.dropped_ms == 2_000
    for _ in range((MAX_DROPPED_MS - intake.dropped_ms) // 40):
        intake.take(FRAME, 0, ready=True, speaking=False)
    with pytest.raises(TooFast):
        intake.take(FRAME, 0, ready=True, speaking=False)


def test_what_was_captured_before_the_connection_is_granted_on_top_of_the_pace() -> None:
    intake = Intake(held_ms=1_000)
    intake.attach(24_000 * 30)
    effects = [e for n in range(30 * 25) for e in intake.take(FRAME, n * 10, ready=True, speaking=False)]
    assert intake.dropped_ms == 0
    assert all(effect.keep for effect in effects)


def test_a_reloaded_page_counts_from_nothing_again() -> None:
    intake = Intake(held_ms=1_000)
    intake.attach(0)
    intake.take(FRAME, 0, ready=True, speaking=False)
    intake.attach(intake.samples + 960)
    assert intake.samples == 960
    intake.attach(0)
    assert intake.samples == 0
    assert intake.total_samples == 960
