"""The person's side of a session: input audio, turns, commits, and which audio is to be recognised when. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Literal

from realtime.local import session_config as sc
from realtime.local.answering import Answering
from realtime.local.conversation import Item
from realtime.local.effects import ForgetListening, Listen, Transcribe
from realtime.local.engine import Heard
from realtime.local.errors import ProtocolError, error_block
from realtime.local.input_buffer import LONGEST_MS, InputBuffer
from realtime.local.shared import Shared
from realtime.local.transcripts import Transcripts
from realtime.local.turns import Frame, Mark, MarkKind, TurnDetector

MIN_COMMIT_MS = 100.0
PARTIAL_EVERY_MS = 400.0


class Listening:
    """Owns the input buffer and the turn that is being spoken.

    A *take* numbers each stretch of speech that is recognised: when speech resumes after a pause, results of the
    take before are worthless. `_awaited` maps a committed item to the take whose text will be its transcript.
    """

    def __init__(self, shared: Shared, answering: Answering) -> None:
        self._shared = shared
        self._answering = answering
        self.transcripts = Transcripts(shared)
        self.buffer = InputBuffer(sc.wire_format(shared.config["audio"]["input"]["format"]))
        self._detector: TurnDetector | None = None
        self._awaited: dict[str, int] = {}
        self._take = 0
        self._item_id = ""
        self._start_ms = 0.0
        self._partial_ms = 0.0  # position of the last partial recognition
        self._partial_runs = False
        self._early: tuple[int, Heard] | None = None  # take and words of a speculative result
        self._early_take = -1  # take of the speculative recognition that was asked for
        self.configured()

    @property
    def is_speaking(self) -> bool:
        return self._detector is not None and self._detector.speaking

    def configured(self) -> None:
        """The session's configuration changed: take over the input format and turn detection."""
        format = sc.wire_format(self._shared.config["audio"]["input"]["format"])
        if format != self.buffer.format:
            self.buffer = InputBuffer(format, self.buffer.end_ms)
            self._shared.outbox.push(ForgetListening())
            self._detector = None
        settings = self._shared.turn_detection
        speaking = self.is_speaking
        if settings is None:
            self._detector = None
        elif not speaking or self._detector is None:
            self._detector = TurnDetector(settings)
        else:
            # A turn under way goes on; only its rules change.
            fresh = TurnDetector(settings)
            fresh.speaking, fresh.voiced_ms = True, self._detector.voiced_ms
            self._detector = fresh

    def append(self, audio: bytes) -> None:
        if self.buffer.length_ms + self.buffer.format.duration_ms(audio) > LONGEST_MS:
            raise ProtocolError(
                "input_audio_buffer_full",
                "The input audio buffer holds ten minutes already: commit or clear it.",
                "audio",
            )
        self.buffer.append(audio)
        self._shared.outbox.push(Listen(audio, self.buffer.format))

    def heard(self, frames: Iterable[Frame]) -> None:
        """Scored frames of what was appended, in order."""
        for frame in frames:
            if self._detector is None:
                continue
            for mark in self._detector.feed(frame):
                self._on_mark(mark)
            if self.is_speaking:
                self._maybe_partial(frame.end_ms)
        if not self.is_speaking and self._detector is not None:
            self.buffer.trim_idle()

    def commit(self) -> None:
        """The client ends the turn itself; this never starts a response."""
        length_ms = self.buffer.length_ms
        if length_ms < MIN_COMMIT_MS:
            raise ProtocolError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: the buffer is too small. Expected at least 100ms of audio, "
                f"but buffer only has {length_ms:.2f}ms of audio.",
            )
        speaking = self.is_speaking
        item_id = self._item_id if speaking else self._shared.ids.new("item")
        self._take += 1
        voiced_ms = self._detector.voiced_ms if speaking and self._detector else None
        item = self._commit(item_id, self.buffer.start_ms, self.buffer.end_ms)
        self._recognise(item, voiced_ms)
        self._restart_detection()

    def clear(self) -> None:
        self.transcripts.forget(self._item_id)
        self._take += 1
        self.buffer.clear()
        self._restart_detection()
        self._shared.outbox.emit("input_audio_buffer.cleared")

    def commit_silence(self, start_ms: float) -> None:
        """The idle timeout passed: what was heard since then becomes an item without words."""
        item_id, end_ms = self._shared.ids.new("item"), self.buffer.end_ms
        self._shared.outbox.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=int(min(start_ms, end_ms)),
            audio_end_ms=int(end_ms),
            item_id=item_id,
        )
        item = self._commit(item_id, start_ms, end_ms)
        item.heard = ""

    def uploaded(self, item: Item) -> None:
        """An item with audio was created by the client: its words are wanted, too."""
        if item.heard is None and item.is_audio and item.wire.get("role") == "user":
            self._take += 1
            self._recognise(item, None)

    def transcribed(self, item_id: str, take: int, kind: str, heard: Heard) -> None:
        if kind == "partial":
            self._partial_runs = False
            if item_id == self._item_id and self.is_speaking:
                self.transcripts.partial(item_id, heard.text)
        elif self._awaited.get(item_id) == take:
            self._settle(item_id, heard)
        elif item_id == self._item_id and take == self._take and self.is_speaking:
            self._early = (take, heard)
            assert self._detector is not None
            self._detector.sentence_heard(heard.text)

    def not_transcribed(self, item_id: str, take: int, kind: str, code: str, message: str) -> None:
        if kind == "partial":
            self._partial_runs = False
        elif self._awaited.get(item_id) == take:
            del self._awaited[item_id]
            if item := self._shared.conversation.get(item_id):
                self.transcripts.failed(item, code, message)
            self._answering.transcript_ready(item_id)
        elif take == self._early_take:
            self._early_take = -1

    def _on_mark(self, mark: Mark) -> None:
        assert self._detector is not None
        if mark.kind is MarkKind.STARTED:
            self._begin(mark.at_ms)
        elif mark.kind is MarkKind.PAUSED:
            if self._shared.options.speculate or self._detector.semantic:
                self._early, self._early_take = None, self._take
                self._ask_early("speculative", mark.at_ms, self._detector.voiced_ms)
        elif mark.kind is MarkKind.RESUMED:
            self._take += 1
        else:
            self._end(mark.at_ms)

    def _begin(self, start_ms: float) -> None:
        self._item_id = self._shared.ids.new("item")
        self._start_ms = max(start_ms, self.buffer.start_ms)
        self._partial_ms = self._start_ms
        self._take += 1
        self._shared.outbox.emit(
            "input_audio_buffer.speech_started", audio_start_ms=int(self._start_ms), item_id=self._item_id
        )
        settings = self._shared.turn_detection
        if settings is not None and settings["interrupt_response"]:
            self._answering.interrupt()

    def _end(self, end_ms: float) -> None:
        assert self._detector is not None
        self._shared.outbox.emit(
            "input_audio_buffer.speech_stopped", audio_end_ms=int(end_ms), item_id=self._item_id
        )
        item = self._commit(self._item_id, self._start_ms, end_ms)
        settings = self._shared.turn_detection
        answered = False
        if self._shared.config["type"] == "realtime" and settings is not None and settings["create_response"]:
            try:
                self._answering.create(prompted_by="user")
                answered = True
            except ProtocolError as error:
                self._shared.outbox.emit("error", error=error_block(error))
        if not self._shared.options.speculate or self._early_take != self._take:
            self._recognise(item, self._detector.voiced_ms, expects_answer=answered)
        else:
            self._awaited[item.id] = self._take
            if self._early is not None and self._early[0] == self._take:
                self._settle(item.id, self._early[1])

    def _commit(self, item_id: str, start_ms: float, end_ms: float) -> Item:
        shared = self._shared
        audio = self.buffer.take(start_ms, end_ms)
        wire = {
            "id": item_id,
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        item = Item(wire, audio=audio, format=self.buffer.format)
        shared.outbox.emit(
            "input_audio_buffer.committed", previous_item_id=shared.conversation.last_id, item_id=item_id
        )
        previous = shared.conversation.add(item)
        for name in ("added", "done"):
            shared.outbox.emit(
                f"conversation.item.{name}", previous_item_id=previous, item=copy.deepcopy(wire)
            )
        return item

    def _recognise(self, item: Item, voiced_ms: float | None, expects_answer: bool = False) -> None:
        self._awaited[item.id] = self._take
        self._shared.outbox.push(
            Transcribe(
                item.id,
                self._take,
                "final",
                item.audio,
                item.format,
                item.turn_index,
                voiced_ms,
                expects_answer,
            )
        )

    def _ask_early(self, kind: Literal["partial", "speculative"], end_ms: float, voiced_ms: float) -> None:
        audio = self.buffer.between(self._start_ms, end_ms)
        turn_index = self._shared.conversation.user_turns
        self._shared.outbox.push(
            Transcribe(self._item_id, self._take, kind, audio, self.buffer.format, turn_index, voiced_ms)
        )

    def _maybe_partial(self, position_ms: float) -> None:
        options, detector = self._shared.options, self._detector
        if (
            not options.partials
            or self._shared.transcription is None
            or self._partial_runs
            or detector is None
        ):
            return
        if position_ms - self._partial_ms >= PARTIAL_EVERY_MS:
            self._partial_ms, self._partial_runs = position_ms, True
            self._ask_early("partial", position_ms, detector.voiced_ms)

    def _settle(self, item_id: str, heard: Heard) -> None:
        del self._awaited[item_id]
        if item := self._shared.conversation.get(item_id):
            self.transcripts.completed(item, heard)
        self._answering.transcript_ready(item_id)

    def _restart_detection(self) -> None:
        self._shared.outbox.push(ForgetListening())
        if self._shared.turn_detection is not None:
            self._detector = TurnDetector(self._shared.turn_detection)
