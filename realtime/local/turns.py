"""When a person begins and ends a turn, from scored stretches of audio. Audio time; no audio and no model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

ONSET_FRAMES = 2  # one loud frame is a click, two are a voice
HYSTERESIS = 0.15  # speech goes on until the score is this far below the threshold
SPECULATE_AFTER_MS = 200.0  # silence after which the final transcript is computed in advance

# Semantic detection: the wait after a finished sentence, and the longest wait after an unfinished one.
_EAGERNESS_MS = {"high": (350.0, 2_000.0), "medium": (600.0, 4_000.0), "low": (900.0, 8_000.0)}
_UNFINISHED = re.compile(
    r"(\b(and|or|but|because|so|if|the|a|an|to|of|for|with|my|your|is|are|um|uh|er|erm|hmm|like|about|in|on|at|that)|[,;:\-]|\.\.\.|…)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A stretch of audio that ends at `end_ms` and how sure detection is (0 to 1) that somebody speaks in it."""

    end_ms: float
    length_ms: float
    score: float


class MarkKind(Enum):
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something happened in the turn at `at_ms`. STARTED includes the prefix, STOPPED the silence that ended it."""

    kind: MarkKind
    at_ms: float


class TurnDetector:
    """One session's turn detection, from a `turn_detection` block with all its fields filled in."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.semantic = settings["type"] == "semantic_vad"
        if self.semantic:
            eagerness = settings["eagerness"]
            self._finished_ms, self._patience_ms = _EAGERNESS_MS[
                "medium" if eagerness == "auto" else eagerness
            ]
            self._threshold, self._prefix_ms = 0.5, 300.0
            self._silence_limit_ms = self._patience_ms
        else:
            self._threshold = settings["threshold"]
            self._prefix_ms = settings["prefix_padding_ms"]
            self._silence_limit_ms = settings["silence_duration_ms"]
        self.speaking = False
        self.voiced_ms = 0.0
        self._onset_frames = 0
        self._silence_ms = 0.0
        self._paused = False

    def feed(self, frame: Frame) -> list[Mark]:
        """Take one frame in order; returns what it brought about, at most two marks."""
        if not self.speaking:
            return self._wait_for_onset(frame)
        if frame.score >= self._threshold - HYSTERESIS and (
            frame.score >= self._threshold or not self._silence_ms
        ):
            return self._voiced(frame)
        return self._silent(frame)

    def sentence_heard(self, transcript: str) -> None:
        """Semantic detection only: what was said so far, so that an unfinished sentence gets more time."""
        if self.semantic and self._paused:
            finished = transcript.strip() and not _UNFINISHED.search(transcript)
            self._silence_limit_ms = self._finished_ms if finished else self._patience_ms

    def _wait_for_onset(self, frame: Frame) -> list[Mark]:
        if frame.score < self._threshold:
            self._onset_frames = 0
            return []
        self._onset_frames += 1
        if self._onset_frames < ONSET_FRAMES:
            return []
        self.speaking, self._onset_frames, self._silence_ms, self._paused = True, 0, 0.0, False
        self.voiced_ms = ONSET_FRAMES * frame.length_ms
        onset_ms = frame.end_ms - self.voiced_ms
        return [Mark(MarkKind.STARTED, max(0.0, onset_ms - self._prefix_ms))]

    def _voiced(self, frame: Frame) -> list[Mark]:
        self.voiced_ms += frame.length_ms
        self._silence_ms = 0.0
        if not self._paused:
            return []
        self._paused = False
        if self.semantic:
            self._silence_limit_ms = self._patience_ms
        return [Mark(MarkKind.RESUMED, frame.end_ms)]

    def _silent(self, frame: Frame) -> list[Mark]:
        self._silence_ms += frame.length_ms
        marks = []
        if not self._paused and self._silence_ms >= SPECULATE_AFTER_MS:
            self._paused = True
            marks.append(Mark(MarkKind.PAUSED, frame.end_ms))
        if self._silence_ms >= self._silence_limit_ms:
            self.speaking = False
            marks.append(Mark(MarkKind.STOPPED, frame.end_ms))
        return marks
