"""One Realtime session as a pure state machine: client events and results in, effects out, time as an argument.

No sockets, no models, no clock: those are `connection.py` and the engines.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

from realtime.local import rules
from realtime.local import session_config as sc
from realtime.local.answering import Answering
from realtime.local.client_items import item_from_client
from realtime.local.effects import Close, Effect
from realtime.local.engine import Heard
from realtime.local.errors import ProtocolError, error_block
from realtime.local.ids import Ids
from realtime.local.listening import Listening
from realtime.local.shared import Outbox, SessionOptions, Shared
from realtime.local.turns import Frame

LONGEST_APPEND_BYTES = 15 * 1024 * 1024

_event_id = {"type": rules.text(), "event_id": rules.text(512)}
_index = rules.number(0, 1_000, whole=True)
_SHAPES = {
    "session.update": rules.record({**_event_id, "session": rules.anything}, ("session",)),
    "input_audio_buffer.append": rules.record({**_event_id, "audio": rules.text()}, ("audio",)),
    "input_audio_buffer.commit": rules.record(_event_id),
    "input_audio_buffer.clear": rules.record(_event_id),
    "conversation.item.create": rules.record(
        {**_event_id, "item": rules.anything, "previous_item_id": rules.nullable(rules.text())}, ("item",)
    ),
    "conversation.item.retrieve": rules.record({**_event_id, "item_id": rules.text()}, ("item_id",)),
    "conversation.item.truncate": rules.record(
        {
            **_event_id,
            "item_id": rules.text(),
            "content_index": _index,
            "audio_end_ms": rules.number(0, 10**9, whole=True),
        },
        ("item_id", "content_index", "audio_end_ms"),
    ),
    "conversation.item.delete": rules.record({**_event_id, "item_id": rules.text()}, ("item_id",)),
    "response.create": rules.record({**_event_id, "response": rules.nullable(rules.anything)}),
    "response.cancel": rules.record({**_event_id, "response_id": rules.nullable(rules.text())}),
    "output_audio_buffer.clear": rules.record(_event_id),
}


class Session:
    """Every method that takes something in returns the effects that follow, in order."""

    def __init__(self, options: SessionOptions, ids: Ids, *, now_ms: float, epoch_s: int) -> None:
        config = sc.default_session(
            id=ids.new("sess"),
            model=options.model,
            kind=options.kind,
            expires_at=epoch_s + round(options.max_session_ms / 1000),
            silence_ms=options.silence_ms,
        )
        self._shared = Shared(options, ids, Outbox(ids), config, ids.new("conv"), now_ms=now_ms)
        self._answering = Answering(self._shared)
        self._listening = Listening(self._shared, self._answering)
        self._expires_ms = now_ms + options.max_session_ms
        self._idle_since_ms: float | None = None  # input position when the idle wait began
        self._ended = False

    @property
    def ended(self) -> bool:
        """True once the session reached its longest duration; its socket is about to be closed."""
        return self._ended

    def start(self) -> list[Effect]:
        self._shared.outbox.emit("session.created", session=copy.deepcopy(self._shared.config))
        return self._shared.outbox.take()

    def receive(self, message: str | bytes, now_ms: float) -> list[Effect]:
        """One message of the client. What cannot be used is answered with an `error` event; the session goes on."""
        self._shared.now_ms = now_ms
        event_id: str | None = None
        try:
            event = _parsed(message)
            if isinstance(event.get("event_id"), str):
                event_id = event["event_id"][:512]
            self._handle(event)
        except ProtocolError as error:
            self._shared.outbox.emit("error", error=error_block(error, event_id))
        return self._taken()

    def heard(self, frames: Iterable[Frame], now_ms: float) -> list[Effect]:
        """What voice activity detection made of the audio of a `Listen`."""
        self._shared.now_ms = now_ms
        self._listening.heard(frames)
        return self._taken()

    def transcribed(self, item_id: str, take: int, kind: str, heard: Heard, now_ms: float) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._listening.transcribed(item_id, take, kind, heard)
        return self._taken()

    def not_transcribed(
        self, item_id: str, take: int, kind: str, code: str, message: str, now_ms: float
    ) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._listening.not_transcribed(item_id, take, kind, code, message)
        return self._taken()

    def answer_text(
        self, response_id: str, text: str, now_ms: float, phase: str = "final_answer", glued: bool = False
    ) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._answering.text(response_id, text, phase, glued)
        return self._taken()

    def answer_audio(self, response_id: str, audio: bytes, now_ms: float) -> list[Effect]:
        """`audio` is in the format of the response's request."""
        self._shared.now_ms = now_ms
        self._answering.audio(response_id, audio)
        return self._taken()

    def answer_call(self, response_id: str, name: str, arguments: str, now_ms: float) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._answering.call(response_id, name, arguments)
        return self._taken()

    def answer_done(self, response_id: str, now_ms: float) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._answering.done(response_id)
        return self._taken()

    def answer_incomplete(self, response_id: str, reason: str, now_ms: float) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._answering.incomplete(response_id, reason)
        return self._taken()

    def answer_failed(
        self, response_id: str, type: str, code: str, message: str, now_ms: float
    ) -> list[Effect]:
        self._shared.now_ms = now_ms
        self._answering.failed(response_id, type, code, message)
        return self._taken()

    def next_deadline_ms(self) -> float:
        """When `tick` wants to be called, at the latest."""
        idle = self._idle_deadline_ms()
        return self._expires_ms if idle is None else min(self._expires_ms, idle)

    def tick(self, now_ms: float) -> list[Effect]:
        """Let time pass: the end of the session, and the silence after which the assistant speaks again."""
        self._shared.now_ms = now_ms
        idle = self._idle_deadline_ms()
        if not self._ended and now_ms >= self._expires_ms:
            return self.expire()
        if not self._ended and idle is not None and now_ms >= idle:
            self._answering.last_done_ms = None
            self._listening.commit_silence(self._idle_since_ms or 0.0)
            self._answering.create(prompted_by="silence")
        return self._taken()

    def expire(self) -> list[Effect]:
        """The session reached its longest duration, or is told so by a fault."""
        minutes = max(1, round(self._shared.options.max_session_ms / 60_000))
        unit = "minute" if minutes == 1 else "minutes"
        message = f"Your session hit the maximum duration of {minutes} {unit}."
        self._ended = True
        self._shared.outbox.emit("error", error=error_block(ProtocolError("session_expired", message)))
        self._shared.outbox.push(Close(1001, message))
        return self._shared.outbox.take()

    def _taken(self) -> list[Effect]:
        if self._answering.last_done_ms is None or self._listening.is_speaking:
            self._idle_since_ms = None
        elif self._idle_since_ms is None:
            self._idle_since_ms = self._listening.buffer.end_ms
        return self._shared.outbox.take()

    def _idle_deadline_ms(self) -> float | None:
        settings, done_ms = self._shared.turn_detection, self._answering.last_done_ms
        timeout_ms = (settings or {}).get("idle_timeout_ms")
        if timeout_ms is None or done_ms is None or self._listening.is_speaking or self._answering.current:
            return None
        return done_ms + timeout_ms

    def _handle(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        _SHAPES[kind](event, "")
        match kind:
            case "session.update":
                self._update(event["session"])
            case "input_audio_buffer.append":
                self._append(event["audio"])
            case "input_audio_buffer.commit":
                self._listening.commit()
            case "input_audio_buffer.clear":
                self._listening.clear()
            case "conversation.item.create":
                self._create_item(event)
            case "conversation.item.retrieve":
                item = self._shared.conversation.retrieve(event["item_id"])
                self._shared.outbox.emit("conversation.item.retrieved", item=item.with_audio())
            case "conversation.item.truncate":
                place = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                self._shared.conversation.truncate(**place)
                self._shared.outbox.emit("conversation.item.truncated", **place)
            case "conversation.item.delete":
                self._shared.conversation.delete(event["item_id"])
                self._shared.outbox.emit("conversation.item.deleted", item_id=event["item_id"])
            case "response.create":
                if self._shared.config["type"] != "realtime":
                    raise ProtocolError(
                        "invalid_value", "A transcription session creates no responses.", "type"
                    )
                self._answering.create(event.get("response"))
            case "response.cancel":
                self._answering.cancel(event.get("response_id"))
            case "output_audio_buffer.clear":
                raise ProtocolError(
                    "invalid_value",
                    "output_audio_buffer.clear is for WebRTC and SIP connections only.",
                    "type",
                )

    def _update(self, update: Any) -> None:
        shared = self._shared
        before = shared.config
        shared.config = sc.updated(before, update, audio_was_produced=shared.audio_was_produced)
        self._listening.configured()
        shared.outbox.emit("session.updated", session=copy.deepcopy(shared.config))
        known = {tool.get("server_label") for tool in before.get("tools", ()) if tool["type"] == "mcp"}
        for tool in shared.config.get("tools", ()):
            if tool["type"] == "mcp" and tool["server_label"] not in known:
                # There is nothing here to ask a remote tool server; saying so is what the protocol has an event for.
                item_id = shared.ids.new("mcpl")
                shared.outbox.emit("mcp_list_tools.in_progress", item_id=item_id)
                shared.outbox.emit("mcp_list_tools.failed", item_id=item_id)

    def _append(self, audio: str) -> None:
        if len(audio) > LONGEST_APPEND_BYTES:
            raise rules.bad_value("audio", "expected at most 15 MiB.")
        self._listening.append(
            rules.decode_base64(audio, "audio", self._listening.buffer.format.sample_bytes)
        )

    def _create_item(self, event: dict[str, Any]) -> None:
        shared = self._shared
        item = item_from_client(event["item"], "item", shared.ids, self._listening.buffer.format)
        if item.wire["type"] == "function_call_output":
            calls = {
                other.wire["call_id"]
                for other in shared.conversation
                if other.wire["type"] == "function_call"
            }
            if item.wire["call_id"] not in calls:
                raise ProtocolError(
                    "invalid_tool_call_id", "The tool call was not found in the conversation.", "item.call_id"
                )
        previous = shared.conversation.add(item, event.get("previous_item_id"))
        for name in ("added", "done"):
            shared.outbox.emit(
                f"conversation.item.{name}", previous_item_id=previous, item=copy.deepcopy(item.wire)
            )
        self._listening.uploaded(item)


def _parsed(message: str | bytes) -> dict[str, Any]:
    try:
        event = json.loads(message)
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("invalid_event", "Could not read the event: expected one JSON object.") from None
    if not isinstance(event, dict):
        raise ProtocolError("invalid_event", "Could not read the event: expected one JSON object.")
    kind = event.get("type")
    if kind is None:
        raise rules.missing("type")
    if not isinstance(kind, str):
        raise rules.wrong_type("type", "a string", kind)
    rules.choice(*_SHAPES)(kind, "type")
    return event
