"""Turn detection in audio time."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.local.turns import Frame, MarkKind, TurnDetector

SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
SEMANTIC = {"type": "semantic_vad", "eagerness": "medium"}
FRAME_MS = 20.0


class Ear:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.detector = TurnDetector(settings)
        self.at_ms = 0.0

    def hear(self, ms: float, score: float) -> list[tuple[str, float]]:
        marks = []
        for _ in range(int(ms / FRAME_MS)):
            self.at_ms += FRAME_MS
            marks += self.detector.feed(Frame(self.at_ms, FRAME_MS, score))
        return [(mark.kind.value, mark.at_ms) for mark in marks]


def test_speech_starts_with_its_prefix_and_stops_after_the_silence() -> None:
    ear = Ear(SERVER_VAD)
    assert ear.hear(1000, 0.1) == []
    assert ear.hear(600, 0.9) == [("started", 700.0)]
    assert ear.hear(1000, 0.1) == [("paused", 1800.0), ("stopped", 2100.0)]


def test_the_prefix_does_not_reach_before_the_beginning() -> None:
    assert Ear(SERVER_VAD).hear(100, 0.9) == [("started", 0.0)]


def test_one_loud_frame_is_no_speech() -> None:
    ear = Ear(SERVER_VAD)
    assert ear.hear(20, 0.9) + ear.hear(400, 0.1) == []


def test_the_threshold_is_honoured() -> None:
    assert Ear({**SERVER_VAD, "threshold": 0.8}).hear(400, 0.7) == []
    assert Ear({**SERVER_VAD, "threshold": 0.6}).hear(400, 0.7) != []


@pytest.mark.parametrize("silence_ms", [200, 500, 1200])
def test_the_silence_duration_is_honoured(silence_ms: int) -> None:
    ear = Ear({**SERVER_VAD, "silence_duration_ms": silence_ms})
    ear.hear(400, 0.9)
    assert ear.hear(silence_ms + 200, 0.0)[-1] == ("stopped", 400.0 + silence_ms)


def test_speech_that_goes_on_after_a_pause_is_one_turn() -> None:
    ear = Ear(SERVER_VAD)
    ear.hear(400, 0.9)
    assert ear.hear(300, 0.0) == [("paused", 600.0)]
    assert ear.hear(200, 0.9) == [("resumed", 720.0)]
    assert [kind for kind, _ in ear.hear(600, 0.0)] == ["paused", "stopped"]


def test_a_score_just_below_the_threshold_keeps_speech_going() -> None:
    ear = Ear(SERVER_VAD)
    ear.hear(400, 0.9)
    assert ear.hear(1000, 0.4) == []


def test_a_finished_sentence_ends_a_semantic_turn_early() -> None:
    ear = Ear(SEMANTIC)
    ear.hear(400, 0.9)
    assert ear.hear(300, 0.0)[0][0] == "paused"
    ear.detector.sentence_heard("What time is it?")
    assert ear.hear(400, 0.0) == [("stopped", 1000.0)]


@pytest.mark.parametrize("said", ["I would like to", "Well, um", "The first thing is,", "", "Because"])
def test_an_unfinished_sentence_gets_more_time(said: str) -> None:
    ear = Ear(SEMANTIC)
    ear.hear(400, 0.9)
    ear.hear(300, 0.0)
    ear.detector.sentence_heard(said)
    assert ear.hear(3000, 0.0) == []
    assert ear.hear(1000, 0.0) == [("stopped", 4400.0)]


@pytest.mark.parametrize(
    ("eagerness", "longest_ms"), [("high", 2000), ("medium", 4000), ("auto", 4000), ("low", 8000)]
)
def test_eagerness_bounds_the_longest_wait(eagerness: str, longest_ms: int) -> None:
    ear = Ear({**SEMANTIC, "eagerness": eagerness})
    ear.hear(400, 0.9)
    assert ear.hear(10_000, 0.0)[-1] == (MarkKind.STOPPED.value, 400.0 + longest_ms)
