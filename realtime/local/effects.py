"""What a session asks of the world: events to send, audio to listen to, work to be done. Only data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from realtime.local.audio_formats import AudioFormat

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Send:
    """One server event, ready for the wire."""

    event: Event


@dataclass(frozen=True, slots=True)
class Listen:
    """Appended audio that voice activity detection must hear before the next client event is handled."""

    audio: bytes
    format: AudioFormat


@dataclass(frozen=True, slots=True)
class ForgetListening:
    """The input buffer was cleared or its format changed: voice activity detection starts afresh."""


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Recognise `audio`. The answer comes back through `Session.transcribed` with the same `take`.

    `expects_answer`: a response to this item follows or may follow (the scripted mode times its transcripts by it).
    `voiced_ms` is what detection counted as speech, or None when nobody listened (push-to-talk, uploaded audio).
    """

    item_id: str
    take: int
    kind: Literal["partial", "speculative", "final"]
    audio: bytes
    format: AudioFormat
    turn_index: int
    voiced_ms: float | None = None
    expects_answer: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the context that an answer is made from."""

    role: Literal["user", "assistant", "system", "tool_call", "tool_output"]
    text: str
    name: str = ""
    call_id: str = ""
    spoken: bool = False
    has_image: bool = False


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """All that an answer may depend on. `turn_index` counts the user's turns of this session from 0."""

    response_id: str
    lines: tuple[Line, ...]
    instructions: str
    tools: tuple[dict[str, Any], ...]
    tool_choice: Any
    speaks: bool
    voice: str
    speed: float
    format: AudioFormat
    turn_index: int
    prompted_by: Literal["user", "tool_output", "silence", "nothing"] = "user"
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Respond:
    """Make an answer; its pieces come back through `Session.answer_*`."""

    request: AnswerRequest


@dataclass(frozen=True, slots=True)
class StopResponding:
    """The response is over: whatever still makes pieces for it should stop."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket after everything before this effect was sent."""

    code: int
    reason: str


Effect = Send | Listen | ForgetListening | Transcribe | Respond | StopResponding | Close
