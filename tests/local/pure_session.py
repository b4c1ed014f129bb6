"""Drives the pure session of the local server without sockets, models or time. No assertions."""

from __future__ import annotations

import base64
import json
from typing import Any

from realtime.local.effects import Effect, Respond, Send, Transcribe
from realtime.local.engine import Heard
from realtime.local.ids import Ids
from realtime.local.session import Session
from realtime.local.shared import SessionOptions
from realtime.local.turns import Frame
from tests.local.talker import BYTES_PER_MS

FRAME_MS = 20.0


class PureSession:
    """A session and everything it asked for. `now_ms` is the time of the next call."""

    def __init__(self, **options: Any) -> None:
        self.now_ms = 0.0
        self.session = Session(SessionOptions(**options), Ids(1), now_ms=0.0, epoch_s=1_000)
        self.effects: list[Effect] = []
        self.fed_ms = 0.0
        self.take(self.session.start())

    def take(self, effects: list[Effect]) -> list[dict[str, Any]]:
        """Keep effects; returns the events among them."""
        self.effects += effects
        return [effect.event for effect in effects if isinstance(effect, Send)]

    def send(self, type: str, **fields: Any) -> list[dict[str, Any]]:
        return self.take(self.session.receive(json.dumps({"type": type, **fields}), self.now_ms))

    def configure(self, **session: Any) -> dict[str, Any]:
        return self.send("session.update", session={"type": "realtime", **session})[0]

    def hear(self, ms: float, score: float) -> list[dict[str, Any]]:
        """Append so much audio, of which detection says `score` throughout."""
        events = self.send(
            "input_audio_buffer.append", audio=base64.b64encode(bytes(int(ms) * BYTES_PER_MS)).decode()
        )
        frames = []
        for _ in range(int(ms / FRAME_MS)):
            self.fed_ms += FRAME_MS
            frames.append(Frame(self.fed_ms, FRAME_MS, score))
        return events + self.take(self.session.heard(frames, self.now_ms))

    def speech(self, ms: float = 600) -> list[dict[str, Any]]:
        return self.hear(ms, 0.9)

    def silence(self, ms: float = 600) -> list[dict[str, Any]]:
        return self.hear(ms, 0.0)

    def type_message(self, text: str, **more: Any) -> list[dict[str, Any]]:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **more}
        return self.send("conversation.item.create", item=item)

    def recognise(
        self, text: str, kind: str | None = None, tokens: tuple[tuple[bytes, float], ...] = ()
    ) -> list[dict[str, Any]]:
        """Answer the latest recognition that was asked for (of that kind)."""
        work = self.asked(Transcribe, kind)
        return self.take(
            self.session.transcribed(work.item_id, work.take, work.kind, Heard(text, tokens), self.now_ms)
        )

    def asked(self, effect: type[Any], kind: str | None = None) -> Any:
        return next(
            found
            for found in reversed(self.effects)
            if isinstance(found, effect) and (kind is None or found.kind == kind)
        )

    def requests(self) -> list[Any]:
        return [effect.request for effect in self.effects if isinstance(effect, Respond)]

    def say(self, text: str, audio_ms: int = 0) -> list[dict[str, Any]]:
        """The responder hands in text and audio for the latest response."""
        response_id = self.requests()[-1].response_id
        events = self.take(self.session.answer_text(response_id, text, self.now_ms))
        if audio_ms:
            audio = bytes(audio_ms * BYTES_PER_MS)
            events += self.take(self.session.answer_audio(response_id, audio, self.now_ms))
        return events

    def finish(self) -> list[dict[str, Any]]:
        return self.take(self.session.answer_done(self.requests()[-1].response_id, self.now_ms))

    def tick(self, now_ms: float) -> list[dict[str, Any]]:
        self.now_ms = now_ms
        return self.take(self.session.tick(now_ms))


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def error_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The `error` field of the only event, which must be an error."""
    (event,) = events
    error: dict[str, Any] = event["error"]
    return error
