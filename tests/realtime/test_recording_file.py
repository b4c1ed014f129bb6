"""The file of kept audio: what was written is read back sample by sample, in its place in time, cut short or not."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.effects import KeepAudio, KeepSpan
from realtime.recording_file import BOTH, KeptAudio, chunks_of, wav_header

MS = 24  # samples


def ramp(first: int, end: int) -> bytes:
    """Samples that say their own number."""
    return (np.arange(first, end) % 32_000).astype("<i2").tobytes()


def said(first: int, end: int, at_ms: int) -> KeepAudio:
    return KeepAudio("said", "", first, at_ms, ramp(first, end))


def heard(item: str, first: int, end: int, at_ms: int) -> KeepAudio:
    return KeepAudio("heard", item, first, at_ms, ramp(first, end))


def kept(*flushes: list[KeepAudio | KeepSpan]) -> KeptAudio:
    return KeptAudio.read(io.BytesIO(b"".join(chunks_of(pieces) for pieces in flushes)))


def test_frames_become_one_stretch_that_starts_when_the_first_was_spoken() -> None:
    frames = [said(n * 960, n * 960 + 960, 500 + n * 40 + jitter) for n, jitter in enumerate((0, 7, 90, 3))]
    audio = kept(frames[:2], frames[2:])
    assert audio.aligned("said", 500 * MS, 500 * MS + 4 * 960) == ramp(0, 4 * 960)
    assert (audio.start, audio.end) == (0, 500 * MS + 4 * 960)


def test_a_pause_is_silence_of_its_length() -> None:
    audio = kept([said(0, 960, 0), said(960, 1_920, 5_000)])
    assert audio.aligned("said", 960, 5_000 * MS) == bytes((5_000 * MS - 960) * 2)
    assert audio.aligned("said", 5_000 * MS, 5_000 * MS + 960) == ramp(960, 1_920)


def test_what_was_captured_before_the_session_began_lies_before_zero() -> None:
    audio = kept([said(0, 24_000, -1_000)])
    assert audio.start == -24_000
    assert audio.aligned("said", -24_000, 0) == ramp(0, 24_000)


def test_answers_never_overlap_however_early_a_report_says_they_began() -> None:
    audio = kept([heard("a", 0, 2_400, 0), heard("b", 0, 2_400, 50)])
    assert audio.aligned("heard", 0, 4_800) == ramp(0, 2_400) + ramp(0, 2_400)


def test_both_lanes_are_mixed_without_going_over_the_top() -> None:
    loud = np.full(240, 30_000, "<i2").tobytes()
    audio = kept([KeepAudio("said", "", 0, 0, loud), KeepAudio("heard", "a", 0, 0, loud)])
    assert np.frombuffer(audio.aligned(BOTH, 0, 240), "<i2").max() == 32_767


def test_an_item_that_was_said_is_its_span_of_the_lane() -> None:
    audio = kept([said(0, 960, 0), said(960, 1_920, 40)], [said(1_920, 2_880, 80), KeepSpan("q", 900, 2_000)])
    assert audio.of_item("q", 0, 10**9) == ramp(900, 2_000)
    assert audio.of_item("q", 50, 70) == ramp(950, 970)


def test_of_a_span_only_what_was_kept_is_there() -> None:
    audio = kept([said(0, 960, 0), said(4_800, 5_760, 200), KeepSpan("q", 480, 5_000)])
    assert audio.of_item("q", 0, 10**9) == ramp(480, 960) + ramp(4_800, 5_000)


def test_an_item_that_was_heard_is_all_that_was_heard_of_it() -> None:
    audio = kept(
        [heard("a", 0, 960, 0)], [said(0, 960, 40), heard("a", 960, 1_000, 40), heard("b", 0, 5, 90)]
    )
    assert audio.of_item("a", 0, 10**9) == ramp(0, 1_000)
    assert audio.of_item("nobody", 0, 10**9) == b""


@given(cut=st.integers(0, 12_000))
def test_wherever_a_crash_cuts_the_file_whole_chunks_stay(cut: int) -> None:
    first, second = chunks_of([said(0, 2_400, 0)]), chunks_of([said(2_400, 4_800, 100), KeepSpan("q", 1, 9)])
    whole = first + second
    audio = KeptAudio.read(io.BytesIO(whole[:cut]))
    assert audio.whole_bytes <= min(cut, len(whole))
    assert audio.whole_bytes in {0, len(first), len(whole)} or audio.lanes["said"][-1].samples == 2_400
    sound = audio.aligned("said", 0, audio.end)
    assert sound == ramp(0, len(sound) // 2)
    assert len(sound) // 2 in {0, 2_400, 4_800}


@pytest.mark.parametrize(
    "junk", [b"\x00" * 500, b"{}\n", b"[]\n", b'{"lane": "x", "samples": 1}\n', b"null\n"]
)
def test_what_is_no_chunk_ends_the_file(junk: bytes) -> None:
    audio = KeptAudio.read(io.BytesIO(chunks_of([said(0, 960, 0)]) + junk))
    assert audio.end == 960


def test_peaks_show_where_it_was_loud() -> None:
    quiet, loud = bytes(2_400 * 2), np.full(2_400, 16_384, "<i2").tobytes()
    audio = kept([KeepAudio("said", "", 0, 0, quiet + loud + quiet)])
    assert audio.peaks("said", 3) == [0.0, 0.5, 0.0]
    assert audio.peaks("heard", 3) == [0.0, 0.0, 0.0]


def test_the_header_is_one_that_players_know() -> None:
    with wave.open(io.BytesIO(wav_header(480) + bytes(960))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() == 480
