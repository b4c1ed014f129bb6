"""The browser's dialect: what a page may say, checked field by field, and what the relay says back. No decisions.

The tables are the protocol: `docs/reference/browser-protocol.md` describes them and a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from realtime.audio import BYTES_PER_SAMPLE
from realtime.conf import TURN_PRESETS
from realtime.exceptions import BadMessage, TooLarge

MAX_MESSAGE_BYTES = 65_536
MAX_FRAME_BYTES = 9_600  # 200 ms
MAX_TEXT_CHARS = 4_096
MAX_SAMPLES = 24_000 * 86_400
MOST = 1e15  # of a number that no other bound is for


def _text(low: int, high: int) -> Callable[[Any], Any]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not low <= len(value) <= high:
            raise BadMessage(f"a text of {low} to {high} characters is needed")
        return _storable(value)

    return check


def _storable(text: str) -> str:
    """A lone surrogate or a NUL would pass JSON and fail in the database."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def _number(low: float, high: float, whole: bool = False) -> Callable[[Any], Any]:
    def check(value: Any) -> float | int:
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            raise BadMessage(
                f"a{' whole' if whole else ''} number from {low:,.10g} to {high:,.10g} is needed"
            )
        return value

    return check


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadMessage("true or false is needed")
    return value


def _choice(*words: str) -> Callable[[Any], Any]:
    def check(value: Any) -> str:
        if value not in words:
            raise BadMessage(f"one of {', '.join(words)} is needed")
        return value

    return check


def _object(fields: dict[str, tuple[Callable[[Any], Any], bool]]) -> Callable[[Any], Any]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BadMessage("an object is needed")
        return _fields(value, fields)

    return check


def _or_null(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else inner(value)


def _client_facts(value: Any) -> dict[str, Any]:
    """Free facts about the page (audio rate, echo cancellation): bounded, kept for inspection only."""
    if not isinstance(value, dict) or len(value) > 16:
        raise BadMessage("client must be a small object")
    return {
        _storable(name[:40]): _storable(fact[:200]) if isinstance(fact, str) else fact
        for name, fact in value.items()
        # Written as 1e999, infinity passes JSON too.
        if fact is None or isinstance(fact, str) or (isinstance(fact, int | float) and abs(fact) <= MOST)
    }


ITEM_ID = _text(1, 64)
SAMPLES = _number(0, MAX_SAMPLES, whole=True)
MARK = _or_null(_object({"item_id": (ITEM_ID, True), "samples": (SAMPLES, True)}))
TURN_DETECTION = _object(
    {
        "type": (_choice("server_vad", "semantic_vad", "none"), True),
        "threshold": (_number(0, 1), False),
        "prefix_padding_ms": (_number(0, 5_000, whole=True), False),
        "silence_duration_ms": (_number(50, 10_000, whole=True), False),
        "eagerness": (_choice("low", "medium", "high", "auto"), False),
    }
)
FROM_BROWSER: dict[str, dict[str, tuple[Callable[[Any], Any], bool]]] = {
    "hello": {
        "played": (MARK, False),
        "received": (MARK, False),
        "uplink_samples": (SAMPLES, True),
        "client": (_client_facts, False),
    },
    "input.text": {"text": (_text(1, MAX_TEXT_CHARS), True), "client_id": (_text(1, 64), True)},
    "input.commit": {},
    "input.clear": {},
    "interrupt": {},
    "playout.position": {
        "item_id": (ITEM_ID, True),
        "samples": (SAMPLES, True),
        "buffered_ms": (_number(0, 3_600_000), False),
    },
    "playout.started": {"item_id": (ITEM_ID, True), "at_ms": (_number(-1e9, 1e9), False)},
    "playout.cleared": {"item_id": (ITEM_ID, True), "samples": (SAMPLES, True)},
    "session.configure": {
        "turn_detection": (TURN_DETECTION, False),
        "turn_preset": (_choice(*TURN_PRESETS), False),
        "speed": (_number(0.25, 1.5), False),
        "muted": (_boolean, False),
        "interruptible": (_boolean, False),
        "keep": (_choice("nothing", "transcript", "audio"), False),
    },
    "ping": {"t": (_number(-MOST, MOST), True), "rtt_ms": (_number(0, 1e6), False)},
    "session.end": {},
}
TO_BROWSER = frozenset(
    {
        "ready", "state", "speech.started", "speech.stopped", "transcript.delta", "transcript.done",
        "response.started", "response.done", "audio.begin", "audio.end", "audio.clear", "message.saved", "pong",
        "uplink.ack", "tool.status", "usage", "recording", "warning", "draining", "error", "ended",
    }
)  # fmt: skip


# `playout.position` as our own page writes it, ten times a second. What looks different in any way is parsed as JSON.
POSITION = re.compile(
    r'\{"type":"playout\.position","item_id":"([A-Za-z0-9_-]{1,64})","samples":(0|[1-9][0-9]{0,8}),'
    r'"buffered_ms":(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,20})?\}'
)


def check_frame(pcm: bytes) -> None:
    """Raise unless this is a microphone frame: not empty, whole samples, at most 200 ms."""
    if len(pcm) > MAX_FRAME_BYTES:
        raise TooLarge(f"an audio frame has at most {MAX_FRAME_BYTES:,} bytes")
    if not pcm or len(pcm) % BYTES_PER_SAMPLE:
        raise BadMessage("an audio frame has an even number of bytes, and some")


def parse(text: str) -> dict[str, Any]:
    """One checked message of the page: its `type` and its known fields. Raises BadMessage or TooLarge."""
    if len(text) * 4 > MAX_MESSAGE_BYTES and len(text.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise TooLarge(f"a message has at most {MAX_MESSAGE_BYTES:,} bytes")
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):  # thousands of brackets are a RecursionError
        raise BadMessage("not JSON") from None
    if not isinstance(value, dict):
        raise BadMessage("not an object")
    kind = value.pop("type", None)
    if not isinstance(kind, str) or kind not in FROM_BROWSER:
        raise BadMessage("unknown type")
    try:
        return {"type": kind, **_fields(value, FROM_BROWSER[kind])}
    except BadMessage as error:
        raise BadMessage(f"{kind}: {error}") from None


def position_of(text: str) -> tuple[str, int] | None:
    """Item and samples of a `playout.position`, found without parsing its JSON.

    None for every other message, and for one that is written in any other way: `parse` takes those. Both read the same.
    """
    told = POSITION.fullmatch(text)
    return None if told is None else (told[1], int(told[2]))


def message(kind: str, **fields: Any) -> dict[str, Any]:
    """A message to the page; `type` comes first."""
    assert kind in TO_BROWSER, kind
    return {"type": kind, **fields}


def _fields(value: dict[str, Any], known: dict[str, tuple[Callable[[Any], Any], bool]]) -> dict[str, Any]:
    if not value.keys() <= known.keys():
        raise BadMessage(f"unknown field; known are {', '.join(known) or 'none'}")
    if len(value) < len(known):
        for name, (_check, required) in known.items():
            if required and name not in value:
                raise BadMessage(f"{name} is missing")
    name = ""
    try:
        return {(name := each): known[each][0](item) for each, item in value.items()}
    except BadMessage as error:
        raise BadMessage(f"{name}: {error}") from None


def _refuse_constant(_word: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
