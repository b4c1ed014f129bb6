"""The upstream's dialect (the provider's GA Realtime events): a builder per event we send, checked reads of the others.

Shapes follow the provider's published event reference; the contract tests judge every built event with the types of
the `openai` package. Nothing here decides anything.
"""

from __future__ import annotations

import json
import re
from typing import Any

from realtime.audio import SAMPLE_RATE_HZ, decode_base64, encode_base64
from realtime.conf import RelayConfig, Seed
from realtime.hearing import LOGPROBS, tells_probabilities

PCM_FORMAT = {"type": "audio/pcm", "rate": SAMPLE_RATE_HZ}
APPEND_HEAD, APPEND_TAIL = b'{"type":"input_audio_buffer.append","audio":"', b'"}'
# The head of a `response.output_audio.delta` as the provider writes it, up to its audio. What looks different in any
# way is parsed as JSON instead.
SPEECH_HEAD = re.compile(
    rb'\{"type":"response\.output_audio\.delta","event_id":"[\w-]{0,64}","response_id":"([\w-]{1,64})",'
    rb'"item_id":"([\w-]{1,64})","output_index":\d{1,9},"content_index":\d{1,9},"delta":"'
)
MAX_EVENT_BYTES = 4 * 1024 * 1024
WORD = re.compile(r"[A-Za-z0-9_.:/-]{1,80}")


class Malformed(ValueError):
    """An event that lacks a field or has one of the wrong kind. The text names the field, never its value."""


# ---- what we send ---------------------------------------------------------------------------------------


def append_json(pcm: bytes) -> bytes:
    """`input_audio_buffer.append` as text: base64 needs no escaping, so a template is enough."""
    return APPEND_HEAD + encode_base64(pcm) + APPEND_TAIL


def session_update(config: RelayConfig, event_id: str) -> dict[str, Any]:
    """The whole configuration of a session; the browser has no say in it beyond its checked choices."""
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio" if config.speaks else "text"],
        "instructions": config.instructions,
        "max_output_tokens": config.max_output_tokens,
        "tools": [dict(tool) for tool in config.tools],
        "tool_choice": "auto",
    }
    if config.modality == "voice":
        transcription: dict[str, Any] = {"model": config.transcription_model}
        if config.language:
            transcription["language"] = config.language
        heard: dict[str, Any] = {
            "format": PCM_FORMAT,
            "transcription": transcription,
            "turn_detection": config.turn_detection,
        }
        if config.noise_reduction != "off":  # unless asked for there is none
            heard["noise_reduction"] = {"type": config.noise_reduction}
        session["audio"] = {"input": heard, "output": {"format": PCM_FORMAT, "voice": config.voice}}
        if tells_probabilities(config):
            session["include"] = [LOGPROBS]
    else:
        session["audio"] = {"input": {"turn_detection": None}}
    return {"type": "session.update", "event_id": event_id, "session": session}


def turn_detection_update(turn_detection: dict[str, Any] | None, event_id: str) -> dict[str, Any]:
    """Change of turn detection alone."""
    session = {"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}}
    return {"type": "session.update", "event_id": event_id, "session": session}


def speed_update(speed: float, event_id: str) -> dict[str, Any]:
    """Change of the speed of speech alone; allowed between turns."""
    session = {"type": "realtime", "audio": {"output": {"speed": speed}}}
    return {"type": "session.update", "event_id": event_id, "session": session}


def commit() -> dict[str, Any]:
    """End of a push-to-talk turn."""
    return {"type": "input_audio_buffer.commit"}


def clear() -> dict[str, Any]:
    """Throw away what was appended since the last commit."""
    return {"type": "input_audio_buffer.clear"}


def create_text_item(role: str, text: str, item_id: str, event_id: str = "") -> dict[str, Any]:
    """A message item. Assistant text is always `output_text`: spoken turns cannot be replayed as audio."""
    kind = "output_text" if role == "assistant" else "input_text"
    item = {"type": "message", "id": item_id, "role": role, "content": [{"type": kind, "text": text}]}
    event = {"type": "conversation.item.create", "item": item}
    return {**event, "event_id": event_id} if event_id else event


def create_tool_output(call_id: str, output: str) -> dict[str, Any]:
    """The result of a function call."""
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}


def truncate(item_id: str, audio_end_ms: int) -> dict[str, Any]:
    """Cut an assistant item to what was heard. Must never lie past the audio that was produced."""
    return {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": audio_end_ms,
    }


def delete(item_id: str) -> dict[str, Any]:
    """Remove an item of which nothing was heard."""
    return {"type": "conversation.item.delete", "item_id": item_id}


def create_response(event_id: str) -> dict[str, Any]:
    """Ask for an answer under the session's own configuration."""
    return {"type": "response.create", "event_id": event_id}


def say_exactly(sentence: str, event_id: str) -> dict[str, Any]:
    """Ask for this sentence to be spoken, as an answer that no conversation remembers."""
    asked = {
        "conversation": "none",
        "input": [],
        "instructions": f'Say exactly: "{sentence}" and nothing else.',
    }
    return {"type": "response.create", "event_id": event_id, "response": asked}


def cancel_response(response_id: str | None, event_id: str) -> dict[str, Any]:
    """Stop generating."""
    event = {"type": "response.cancel", "event_id": event_id}
    return event if response_id is None else {**event, "response_id": response_id}


def seeds(history: tuple[Seed, ...], prefix: str) -> list[dict[str, Any]]:
    """Earlier messages as items, in order; their ids start with the prefix so that their echoes are known."""
    return [
        create_text_item(seed.role, seed.text, f"{prefix}{number}") for number, seed in enumerate(history)
    ]


# ---- what we get ----------------------------------------------------------------------------------------


def parse(raw: str | bytes) -> dict[str, Any]:
    """One event as a dict with a text `type`. Raises Malformed."""
    if len(raw) > MAX_EVENT_BYTES:
        raise Malformed("size")
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        raise Malformed("JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Malformed("type")
    return event


def speech_of(raw: bytes) -> tuple[str, str, bytes] | None:
    """Response, item and PCM16 of a `response.output_audio.delta`, found without parsing its JSON.

    None for every other event, and for one that is written in any other way: `parse` takes those. Both read the same.
    """
    head = SPEECH_HEAD.match(raw)
    if head is None or not raw.endswith(b'"}'):
        return None
    try:
        pcm = decode_base64(
            raw[head.end() : -2]
        )  # in which a quote is refused, and so is anything but base64
    except ValueError:
        return None
    return head[1].decode(), head[2].decode(), pcm


def text_of(event: dict[str, Any], name: str, limit: int = 200_000) -> str:
    """A field that must be text, cleaned of what databases refuse."""
    value = event.get(name)
    if not isinstance(value, str) or len(value) > limit:
        raise Malformed(name)
    return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def id_of(event: dict[str, Any], name: str) -> str:
    """A field that must be an id."""
    value = text_of(event, name, 64)
    if not value:
        raise Malformed(name)
    return value


def ms_of(event: dict[str, Any], name: str) -> int:
    """A field that must be milliseconds."""
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise Malformed(name)
    return value


def object_of(event: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that must be an object."""
    value = event.get(name)
    if not isinstance(value, dict):
        raise Malformed(name)
    return value


def object_or_empty(event: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that may be an object; anything else counts as an empty one."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def word_of(event: dict[str, Any], name: str) -> str | None:
    """A field that may be one short word, such as a code; None when it is anything else: words are kept and logged."""
    value = event.get(name)
    return value if isinstance(value, str) and WORD.fullmatch(value) else None


def count_of(value: Any, *path: str) -> int:
    """A counter somewhere inside usage details; 0 when absent or not a count."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0
