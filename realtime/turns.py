"""The person's side of a talk: typing, speaking, interrupting, and what was heard. Pure; time is an argument.

`answers.py` has the assistant's side, `session.py` the connections and deadlines around both.
"""

from __future__ import annotations

import hashlib
from typing import Any

from realtime import upstream_events as up
from realtime.audio import ms_to_samples, samples_to_ms
from realtime.browser_events import message
from realtime.effects import KeepSpan, RecordUsage, SendBrowser, SendUpstream
from realtime.gate import Phase
from realtime.hearing import is_doubtful
from realtime.latency import TurnMarks
from realtime.playout import ItemAudio
from realtime.queues import Recent, RecentIds
from realtime.talk import Talk
from realtime.transcript import COMPLETED, FAILED, INTERRUPTED, PENDING, UNANSWERED, Item
from realtime.usage import TRANSCRIPTION

OWN_ITEM = "own_"  # ids of items that we create upstream: typed messages and seeds
TYPED = "typed_"  # ids of the events that create typed messages: then the rest of the item's id


class Turns:
    """Takes what the person does, what the upstream hears, and what the page reports of its playing."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.speaking_item: str | None = None  # the person's speech that is under way
        self.given_up = RecentIds()  # speech that was to be no turn, and may become one after all
        self.speech_began_ms = 0  # on the upstream's own count of the audio
        self.speech_ended_ms: Recent[int] = Recent()  # of items whose words have not come yet
        self.estimates: dict[
            str, int
        ] = {}  # samples heard by our clock, of items that wait for playout.cleared
        # Settled by our clock: the page may still say how it was.
        self.guessed: Recent[ItemAudio] = Recent()
        self.position_ms = 0  # when the page last reported
        self.cuts = 0

    def typed(
        self, text: str, client_id: str, now_ms: int, *, upstream_open: bool, upstream_ready: bool
    ) -> None:
        """A typed message: kept, shown, sent, and an answer asked for. The same `client_id` again counts once.

        `upstream_open`: the history was sent already, so the message follows it; else it goes as part of the history.
        """
        item_id = OWN_ITEM + hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()[:24]
        known = self.talk.transcript.items.get(item_id)
        if known is not None:
            if known.status == UNANSWERED:  # tried again: the upstream has it, so only an answer is asked for
                known.status = COMPLETED
                self.talk.out.append(self.talk.transcript.record(known))
                if known.refused:  # or it has not
                    known.refused = False
                    self._tell(known, upstream_open)
                self.talk.input_ended(now_ms)
                self._want(now_ms, upstream_ready)
            self.talk.show_done(known)
            return
        self.interrupt(now_ms)
        item = self.talk.transcript.open(item_id, "user", "text", now_ms, client_id)
        item.text, item.status = text, COMPLETED
        self.talk.out.append(self.talk.transcript.record(item))
        self.talk.show_done(item)
        self.talk.input_ended(now_ms)
        self.talk.tool_rounds = 0
        self.talk.allowance.told(text)
        self._tell(item, upstream_open)
        self._want(now_ms, upstream_ready)

    def _tell(self, item: Item, upstream_open: bool) -> None:
        if upstream_open:
            event_id = TYPED + item.item_id.removeprefix(OWN_ITEM)
            event = up.create_text_item("user", item.text, item.item_id, event_id)
            self.talk.out.append(SendUpstream(event))

    def refused(self, event_id: str) -> bool:
        """An `error` event answered a typed message: it is told and can be sent again. False: it answered none."""
        item = self.talk.transcript.items.get(OWN_ITEM + event_id.removeprefix(TYPED))
        if not event_id.startswith(TYPED) or item is None:
            return False
        if item.item_id == self._last_said():  # what was asked for would be an answer to something else
            self.talk.out += self.talk.gate.cancel()
            self.talk.input_ended_ms = None
        item.refused, item.status = True, UNANSWERED
        self.talk.out.append(self.talk.transcript.record(item))
        text = "The voice service did not take your message. Change it, or try again."
        self.talk.tell_error("upstream.message_refused", text)
        return True

    def _last_said(self) -> str:
        of_person = (i.item_id for i in reversed(self.talk.transcript.items.values()) if i.role == "user")
        return next(of_person, "")

    def _want(self, now_ms: int, upstream_ready: bool) -> None:
        if upstream_ready:
            self.talk.out += self.talk.gate.want(now_ms)
        else:
            self.talk.gate.wanted = True  # asked for after `session.updated`, and so after the message

    def committed_by_person(self, now_ms: int) -> None:
        """Push-to-talk was released."""
        self.talk.input_ended(now_ms)
        self.talk.tool_rounds = 0
        self.talk.keeping.released()
        self.talk.out.append(SendUpstream(up.commit()))
        self.talk.out += self.talk.gate.want(now_ms)

    def interrupt(self, now_ms: int, *, upstream_cancels: bool = False) -> bool:
        """Stop what is heard and what is generated. True when there was something to stop."""
        active = self.talk.gate.active_id
        busy = self.talk.gate.busy
        self.talk.tools_abandoned, self.talk.tools_returned = bool(self.talk.tools_running), 0
        self.talk.out += self.talk.gate.cancel(upstream_does_it=upstream_cancels)
        flushed = self.talk.playout.clear()
        for audio in flushed:
            self.talk.cut.add(audio.item_id)
            if audio.sent == 0:
                self._settle(audio.item_id, 0, now_ms)
                continue
            elapsed = ms_to_samples(max(0, now_ms - self.position_ms)) if audio.heard else 0
            self.estimates[audio.item_id] = min(audio.sent, audio.heard + elapsed)
            self.talk.out.append(SendBrowser(message("audio.clear", item_id=audio.item_id), overtakes=True))
        spoken = {audio.item_id for audio in flushed}
        for item in self.talk.transcript.items.values():
            if not active or item.response_id != active or item.status != PENDING or item.item_id in spoken:
                continue
            self.talk.cut.add(item.item_id)
            if not item.text:
                self.talk.discard(item)
                continue
            item.status, item.changed_ms = INTERRUPTED, now_ms
            if self.talk.config.speaks:
                item.heard_chars = item.heard_ms = item.generated_ms = 0
            self.talk.keep_and_show(item)
        if flushed or busy:
            self.talk.interruptions += 1
            self.talk.note("interruption", now_ms)
        return bool(flushed or busy)

    def position(self, item_id: str, samples: int, now_ms: int, *, send: bool = True) -> None:
        """The page reports how much of an item it played; `send` what the window holds back now has room for."""
        self.position_ms = now_ms
        audio = self.talk.playout.position(item_id, samples)
        if audio is None:
            return
        self.talk.keep_heard(now_ms)
        item = self.talk.transcript.items.get(item_id)
        marks = self.talk.marks.get(item.response_id) if item else None
        if marks and audio.heard > 0:
            self._heard_first(marks, None, now_ms)
        if item and audio.fully_heard and item_id not in self.talk.cut and item.heard_ms is None:
            self.talk.transcript.mark_heard(
                item, samples_to_ms(audio.heard), samples_to_ms(audio.produced), complete=True
            )
            self.talk.out.append(self.talk.transcript.record(item))
            if marks:
                marks.heard_ms, marks.generated_ms = item.heard_ms, samples_to_ms(audio.produced)
                self.talk.out.append(marks.record())
        if send:
            self.talk.out += self.talk.playout.due()

    def started(self, item_id: str, at_ms: int | None, now_ms: int) -> None:
        """The page began to play an item; `at_ms`: when that is heard, by our clock as the page knows it."""
        item = self.talk.transcript.items.get(item_id)
        if item and (marks := self.talk.marks.get(item.response_id)):
            self._heard_first(marks, at_ms, now_ms)

    def _heard_first(self, marks: TurnMarks, at_ms: int | None, now_ms: int) -> None:
        if not marks.heard(at_ms, now_ms):
            return
        if self.talk.first_audio_ms is None:
            self.talk.first_audio_ms = marks.first_heard_ms
        self.talk.out.append(marks.record())

    def cleared(self, item_id: str, samples: int, now_ms: int) -> None:
        """The page answered a clear, in time or after our own estimate: it knows better what was heard."""
        if item_id in self.talk.playout.cleared:
            self._settle(item_id, samples, now_ms)
        elif audio := self.guessed.pop(item_id, None):
            audio.heard = min(samples, audio.sent)
            item = self.talk.transcript.items[item_id]
            if audio.fully_heard:
                item.status = COMPLETED
            self._note_heard(item, audio, now_ms)

    def clear_expired(self, item_id: str, now_ms: int) -> None:
        """The page did not answer a clear in time: our own estimate holds."""
        if audio := self.talk.playout.cleared.get(item_id):
            self._settle(item_id, self.estimates.get(item_id, 0), now_ms)
            if item_id in self.talk.transcript.items:
                audio.tail = b""
                self.guessed[item_id] = audio

    def not_taken(self, now_ms: int) -> None:
        """The page takes no more: the answer ends with what it told of, and the memory of the rest is given back."""
        self.interrupt(now_ms)
        for item_id in list(self.talk.playout.cleared):
            self._settle(item_id, None, now_ms)

    def came_back(self, item_id: str) -> None:
        """The page holds this item. One that was cut while it was away still sounds there: tell it again."""
        if item_id in self.talk.cut:
            self.talk.out.append(SendBrowser(message("audio.clear", item_id=item_id)))

    def _settle(self, item_id: str, samples: int | None, now_ms: int) -> None:
        """What was heard of a flushed item is known: tell the upstream, keep it, show it."""
        audio = self.talk.playout.settle(item_id, samples)
        self.talk.keep_heard(now_ms)
        self.estimates.pop(item_id, None)
        item = self.talk.transcript.items.get(item_id)
        if audio is None or item is None:
            return
        heard_ms = samples_to_ms(audio.heard)
        if not audio.fully_heard:
            # Refused harmlessly when the upstream has dropped the item already: the answer names this event id.
            self.cuts += 1
            event = up.truncate(item_id, heard_ms) if heard_ms else up.delete(item_id)
            self.talk.out.append(SendUpstream({**event, "event_id": f"cut_{self.cuts}"}, overtakes=True))
        elif item.status == PENDING:
            item.status = COMPLETED
        self._note_heard(item, audio, now_ms)

    def _note_heard(self, item: Item, audio: ItemAudio, now_ms: int) -> None:
        heard_ms, generated_ms = samples_to_ms(audio.heard), samples_to_ms(audio.produced)
        self.talk.transcript.mark_heard(item, heard_ms, generated_ms, audio.fully_heard)
        item.changed_ms = now_ms
        self.talk.keep_and_show(item)
        if marks := self.talk.marks.get(item.response_id):
            marks.heard_ms, marks.generated_ms = heard_ms, generated_ms
            self.talk.out.append(marks.record())

    def on_speech_started(self, event: dict[str, Any], now_ms: int) -> None:
        """The person began to speak: barge-in when that is allowed."""
        if self.talk.turn_detection is None:
            return  # said before it was switched off: nothing would tell of its end
        item = self._open_user(up.id_of(event, "item_id"), now_ms)
        self.speaking_item = item.item_id
        self.speech_began_ms = up.count_of(event, "audio_start_ms")
        self.talk.keeping.speech_began(item.item_id, self.speech_began_ms)
        self.talk.note("speech.started", now_ms)
        self.talk.out.append(
            SendBrowser(
                message(
                    "speech.started",
                    item_id=item.item_id,
                    at_ms=now_ms,
                    after=self.talk.transcript.after(item),
                ),
                overtakes=True,
            )
        )
        if self.talk.interruptible:
            self.interrupt(now_ms, upstream_cancels=bool(self.talk.turn_detection))

    def on_speech_stopped(self, event: dict[str, Any], now_ms: int) -> None:
        """The person stopped."""
        item_id = up.id_of(event, "item_id")
        detection = self.talk.turn_detection or {}
        self.talk.input_ended(now_ms, detection.get("silence_duration_ms"))
        self.talk.note("speech.stopped", now_ms)
        self.speech_ended_ms[item_id] = now_ms
        if self.speaking_item == item_id:
            self.speaking_item = None
            ended_ms = up.count_of(event, "audio_end_ms")
            self.talk.keeping.speech_ended(item_id, ended_ms)
            length_ms = ended_ms - self.speech_began_ms
            self.talk.transcript.items[item_id].generated_ms = length_ms if length_ms > 0 else None
        self.talk.out.append(SendBrowser(message("speech.stopped", item_id=item_id, at_ms=now_ms)))

    def give_up_speech(self) -> None:
        """What is being said is to be no turn: it was thrown away, or turn detection was switched off meanwhile."""
        item_id, self.speaking_item = self.speaking_item, None
        if item_id is not None:
            self.given_up.add(item_id)
            self.talk.discard(self.talk.transcript.items[item_id])

    def on_committed(self, event: dict[str, Any], now_ms: int) -> None:
        """The person's audio is an item now."""
        item = self._open_user(up.id_of(event, "item_id"), now_ms)
        self.speaking_item = None
        self.speech_ended_ms.setdefault(item.item_id, now_ms)  # by hand: it ends with the release
        self.talk.tool_rounds = 0
        keeping = self.talk.keeping
        if span := keeping.span_of(item.item_id, by_hand=self.talk.turn_detection is None):
            item.audio_ms = samples_to_ms(keeping.kept_samples(*span))
            self.talk.out.append(KeepSpan(item.item_id, *span))
        self.talk.out.append(self.talk.transcript.record(item))
        self.talk.allowance.committed(item.item_id, now_ms)
        if self.talk.turn_detection and self.talk.turn_detection.get("create_response", True):
            self.talk.gate.expect(now_ms)
        elif self.talk.turn_detection:
            self.talk.out += self.talk.gate.want(now_ms)  # answered when the budgets have room

    def _open_user(self, item_id: str, now_ms: int) -> Item:
        item = self.talk.transcript.open(item_id, "user", "voice", now_ms)
        if self.given_up.pop(item_id, False):  # the upstream had heard its end before
            item.status, item.text = PENDING, ""
        item.shown = True
        return item

    def on_input_transcript_delta(self, event: dict[str, Any], now_ms: int) -> None:
        """More of what the person said. Never a fresh item: the onset came before."""
        item = self.talk.transcript.items.get(up.id_of(event, "item_id"))
        delta = up.text_of(event, "delta") if event.get("delta") is not None else ""
        if item is None or item.role != "user" or item.status != PENDING or not delta:
            return
        self.talk.show_delta(item, delta, now_ms)

    def on_input_transcript_done(self, event: dict[str, Any], now_ms: int) -> None:
        """The whole of what the person said, or that it could not be understood."""
        item = self._open_user(up.id_of(event, "item_id"), now_ms)
        self.talk.allowance.transcribed(item.item_id)
        if event["type"].endswith("completed"):
            text = up.text_of(event, "transcript").strip()
            item.text, item.status = text, COMPLETED if text else FAILED
            item.doubtful = bool(text) and is_doubtful(event, self.talk.config.expected_language)
            self._keep_transcription_usage(item.item_id, event.get("usage"))
        else:
            item.status = FAILED
        if (ended_ms := self.speech_ended_ms.pop(item.item_id, None)) is not None:
            self.talk.note("input.transcribed", now_ms, ms=max(0, now_ms - ended_ms), ok=bool(item.text))
        item.changed_ms = now_ms
        self.talk.keep_and_show(item)

    def upstream_lost(self, now_ms: int) -> None:
        """The upstream is gone: what it was making stays as it is, what it did not understand is marked so."""
        produced_nothing = self.talk.gate.phase is Phase.ACTIVE and not self._was_stopped()
        asked_again = bool(self.talk.tools_running) and not self.talk.tools_abandoned
        for item in self.talk.transcript.items.values():
            self.talk.playout.finish(item.item_id)
            if item.status != PENDING:
                continue
            if item.item_id == self.speaking_item or (item.role == "assistant" and not item.text):
                self.talk.discard(item)  # heard again by the next upstream, or asked for again
                continue
            if item.response_id == self.talk.gate.active_id:
                produced_nothing = False
            item.status = INTERRUPTED if item.text else FAILED
            item.changed_ms = now_ms
            self.talk.keep_and_show(item)
        self.speaking_item = None
        self.speech_ended_ms.clear()
        self.talk.forget_tools()
        # A turn whose answer the upstream owed is asked for, when the next one can be told what was said.
        owed = self.talk.gate.owed and self._last_was_understood()
        self.talk.gate.wanted = self.talk.gate.wanted or produced_nothing or asked_again or owed
        self.talk.gate.reset()
        self.talk.out += self.talk.playout.due()

    def _was_stopped(self) -> bool:
        return self.talk.gate.active_id in self.talk.gate.cancelled

    def _last_was_understood(self) -> bool:
        last = self.talk.transcript.items.get(self._last_said())
        return last is not None and last.status == COMPLETED

    def finish(self, now_ms: int) -> None:
        """The session ends: settle what was heard, and mark what was never answered."""
        for audio in [*self.talk.playout.clear(), *self.talk.playout.cleared.values()]:
            self._settle_quietly(audio)
        answered = False
        for item in reversed(self.talk.transcript.items.values()):
            if item.role == "assistant":
                answered = answered or item.status in (COMPLETED, INTERRUPTED)
            elif item.modality == "text" and item.status == COMPLETED and not answered:
                item.status = UNANSWERED
                self.talk.out.append(self.talk.transcript.record(item))
            elif item.role == "user":
                answered = True
            if item.status == PENDING and item.shown:
                item.status = INTERRUPTED if item.text else FAILED
                self.talk.out.append(self.talk.transcript.record(item))

    def _settle_quietly(self, audio: ItemAudio) -> None:
        item = self.talk.transcript.items.get(audio.item_id)
        if item is not None and item.heard_ms is None:
            self.talk.transcript.mark_heard(
                item, samples_to_ms(audio.heard), samples_to_ms(audio.produced), complete=audio.fully_heard
            )
            self.talk.out.append(self.talk.transcript.record(item))

    def _keep_transcription_usage(self, item_id: str, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        seconds = usage.get("seconds")
        count = up.count_of
        self.talk.keep_usage(
            RecordUsage(
                meter=TRANSCRIPTION,
                reference=item_id,
                text_in=count(usage, "input_token_details", "text_tokens"),
                audio_in=count(usage, "input_token_details", "audio_tokens"),
                text_out=count(usage, "output_tokens"),
                seconds=float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e6 else 0.0,
                model=self.talk.config.transcription_model,
            )
        )
