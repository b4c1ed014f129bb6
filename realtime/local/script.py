"""Turns of the scripted mode: their fields, their file and their audio. Pure but for reading that file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from realtime.local import rules
from realtime.local.errors import BadOption, ProtocolError

DEFAULT_AUDIO_MS_PER_WORD = 300
_WHEN = rules.choice("before", "during", "after")
_CALL = rules.record({"name": rules.text(), "arguments": rules.record({}, open=True)}, ("name",))
_TURN = rules.record(
    {
        "hears": rules.text(),
        "heard_at": _WHEN,
        "hearing_fails": rules.text(),
        "sure": rules.number(0.001, 1),
        "says": rules.text(),
        "audio_ms": rules.number(0, 3_600_000, whole=True),
        "delay_ms": rules.number(0, 3_600_000),
        "tool": rules.either("an object or an array", _CALL, rules.list_of(_CALL)),
        "then": rules.text(),
        "fails": rules.record({"type": rules.text(), "code": rules.text(), "message": rules.text()}),
        "incomplete": rules.choice("max_output_tokens", "content_filter"),
    }
)


@dataclass(frozen=True, slots=True)
class ScriptedTurn:
    """What is heard in the n-th turn of the person, and what is done about it. See docs/local-server.md."""

    hears: str = "This is what you said."
    heard_at: str = "during"
    hearing_fails: str | None = None
    sure: float | None = None
    says: str = "This is what I answer."
    audio_ms: int | None = None
    delay_ms: float = 0.0
    tools: tuple[tuple[str, str], ...] = ()
    then: str = "The tool has answered."
    fails: dict[str, str] | None = None
    incomplete: str | None = None

    def audio_length_ms(self, text: str) -> int:
        return DEFAULT_AUDIO_MS_PER_WORD * len(text.split()) if self.audio_ms is None else self.audio_ms


class Script:
    """Turns by number; after the last it begins again."""

    def __init__(self, turns: Iterable[dict[str, Any]] = ()) -> None:
        self._turns = [_turn(entry, index) for index, entry in enumerate(turns)] or [ScriptedTurn()]

    @staticmethod
    def read(path: str | Path) -> list[dict[str, Any]]:
        """The turns of a JSON file (an array). Raises `BadOption` with the reason it cannot be used."""
        try:
            turns = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise BadOption(f"The file of turns cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise BadOption(f"The file of turns is not valid JSON: {error}.") from None
        if not isinstance(turns, list):
            raise BadOption("The file of turns must hold a JSON array of turns.")
        Script(turns)
        return turns

    def turn(self, index: int) -> ScriptedTurn:
        return self._turns[index % len(self._turns)]


def scripted_pcm(turn_index: int, start_sample: int, samples: int, rate_hz: int = 24_000) -> bytes:
    """PCM16 of a turn's answer: a rising saw tooth whose pitch tells the turn. Any part can be computed by itself.

    At half scale and never silent, so that it can be told from a gap; the same in every run and on every machine.
    """
    step = 301 + 16 * (turn_index % 64)
    phase = (
        np.arange(start_sample, start_sample + samples, dtype=np.int64) * step * 24_000 // rate_hz
    ) % 32_768
    return (phase - 16_384).astype("<i2").tobytes()


def _turn(entry: Any, index: int) -> ScriptedTurn:
    try:
        _TURN(entry, f"turns[{index}]")
    except ProtocolError as error:
        raise BadOption(error.message) from None
    fields = dict(entry)
    tool = fields.pop("tool", [])
    calls = tool if isinstance(tool, list) else [tool]
    fields["tools"] = tuple((call["name"], json.dumps(call.get("arguments", {}))) for call in calls)
    if calls and "says" not in fields:
        fields["says"] = ""
    return ScriptedTurn(**fields)
