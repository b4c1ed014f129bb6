"""What the parts of a session have in common: options, configuration, conversation, outgoing effects. No logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from realtime.local.conversation import Conversation
from realtime.local.effects import Effect, Event, Send
from realtime.local.ids import Ids


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session behaves beyond what the protocol lets a client say.

    `speculate`: recognise at the first short pause, so that the text is there when the turn ends.
    `partials`: send transcript deltas while the person still speaks.
    `wait_for_transcript`: an answer needs the recognised text first (the scripted mode knows its lines without).
    """

    model: str = "gpt-realtime-2.1"
    kind: str = "realtime"
    max_session_ms: float = 3_600_000.0
    silence_ms: int = 500
    speculate: bool = True
    partials: bool = True
    wait_for_transcript: bool = True
    tokens_per_minute: int = 4_000_000


class Outbox:
    """Effects in the order in which they must happen."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._effects: list[Effect] = []

    def emit(self, type: str, **fields: Any) -> None:
        event: Event = {"type": type, "event_id": self._ids.new("event"), **fields}
        self._effects.append(Send(event))

    def push(self, effect: Effect) -> None:
        self._effects.append(effect)

    def take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects


@dataclass(slots=True)
class Shared:
    """The state that more than one part of a session reads or writes. `now_ms` is set at every entry point."""

    options: SessionOptions
    ids: Ids
    outbox: Outbox
    config: dict[str, Any]
    conversation_id: str
    conversation: Conversation = field(default_factory=Conversation)
    audio_was_produced: bool = False
    now_ms: float = 0.0

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        return self.config["audio"]["input"]["turn_detection"]

    @property
    def transcription(self) -> dict[str, Any] | None:
        return self.config["audio"]["input"]["transcription"]
