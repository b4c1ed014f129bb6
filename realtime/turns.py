"""The talk inside a session: who speaks, what is answered, what was heard. Pure; time is an argument.

`session.py` owns the connections and deadlines around it. Order and fields of the events follow the provider's
published event reference; what differs in recordings is said where it matters.
"""

from __future__ import annotations

import hashlib
from typing import Any

from realtime import upstream_events as up
from realtime.audio import decode_base64, ms_to_samples, samples_to_ms
from realtime.browser_events import message
from realtime.conf import RelayConfig
from realtime.effects import Effect, RecordUsage, RunTool, SendBrowser, SendUpstream
from realtime.exceptions import FATAL_UPSTREAM_CODES
from realtime.gate import Phase, ResponseGate
from realtime.latency import TurnMarks
from realtime.playout import ItemAudio, Playout
from realtime.transcript import COMPLETED, FAILED, INTERRUPTED, PENDING, UNANSWERED, Item, Transcript

CHECKPOINT_MS = 1_000  # partial answers are kept at least this often
MAX_TOOL_ROUNDS = 5
OWN_ITEM = "own_"  # ids of items that we create upstream: typed messages and seeds


class Turns:
    """Turn taking. Handlers append to `out`, which the session hands to its relay."""

    def __init__(self, config: RelayConfig, out: list[Effect]) -> None:
        self.config = config
        self.out = out
        self.transcript = Transcript(config.first_position)
        self.playout = Playout(ms_to_samples(config.ahead_ms), config.downlink_cap_bytes)
        self.gate = ResponseGate(config.responses_per_minute)
        self.turn_detection = config.turn_detection
        self.interruptible = config.interruptible
        self.speaking_item: str | None = None  # the person's speech that is under way
        self.speech_began_ms = 0  # on the upstream's own count of the audio
        self.marks: dict[str, TurnMarks] = {}  # by response
        self.input_ended_ms: int | None = None
        self.cut: set[str] = set()  # items whose late events are dropped
        self.estimates: dict[
            str, int
        ] = {}  # samples heard, by our clock, of items that wait for playout.cleared
        self.position_ms = 0
        self.tools_running: set[str] = set()
        self.tool_rounds = 0
        self.interruptions = 0
        self.answers = 0
        self.audio_out_ms = 0
        self.first_audio_ms: int | None = None
        self.fatal_code: str | None = None
        self.cuts = 0

    # ---- what the person does ----------------------------------------------------------------------------

    def typed(
        self, text: str, client_id: str, now_ms: int, *, upstream_open: bool, upstream_ready: bool
    ) -> None:
        """A typed message: kept, shown, sent, and an answer asked for. The same `client_id` again counts once.

        `upstream_open`: the history was sent already, so the message follows it; else it goes as part of the history.
        """
        item_id = OWN_ITEM + hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()[:24]
        known = self.transcript.items.get(item_id)
        if known is not None:
            self._show_done(known)
            return
        self.interrupt(now_ms)
        item = self.transcript.open(item_id, "user", "text", now_ms, client_id)
        item.text, item.status = text, COMPLETED
        self.out.append(self.transcript.record(item))
        self._show_done(item)
        self.input_ended_ms = now_ms
        self.tool_rounds = 0
        if upstream_open:
            self.out.append(SendUpstream(up.create_text_item("user", text, item_id)))
        if upstream_ready:
            self.out += self.gate.want(now_ms)
        else:
            self.gate.wanted = True  # asked for after `session.updated`, and so after the message

    def committed_by_person(self, now_ms: int) -> None:
        """Push-to-talk was released."""
        self.input_ended_ms = now_ms
        self.tool_rounds = 0
        self.out.append(SendUpstream(up.commit()))
        self.out += self.gate.want(now_ms)

    def interrupt(self, now_ms: int, *, upstream_cancels: bool = False) -> bool:
        """Stop what is heard and what is generated. True when there was something to stop."""
        active = self.gate.active_id
        busy = self.gate.busy
        self.out += self.gate.cancel(upstream_does_it=upstream_cancels)
        flushed = self.playout.clear()
        for item in flushed:
            self.cut.add(item.item_id)
            if item.sent == 0:
                self._settle(item.item_id, 0, now_ms)
                continue
            elapsed = ms_to_samples(max(0, now_ms - self.position_ms)) if item.heard else 0
            self.estimates[item.item_id] = min(item.sent, item.heard + elapsed)
            self.out.append(SendBrowser(message("audio.clear", item_id=item.item_id), overtakes=True))
        spoken = {item.item_id for item in flushed}
        for item in self.transcript.items.values():
            if (
                active
                and item.response_id == active
                and item.status == PENDING
                and item.item_id not in spoken
            ):
                self.cut.add(item.item_id)
                item.status, item.changed_ms = INTERRUPTED, now_ms
                if self.config.modality == "voice":
                    item.heard_chars = item.heard_ms = item.generated_ms = 0
                self._keep_and_show(item)
        if flushed or busy:
            self.interruptions += 1
        return bool(flushed or busy)

    def position(self, item_id: str, samples: int, now_ms: int, *, send: bool = True) -> None:
        """The page reports how much of an item it played; `send` what the window holds back now has room for."""
        self.position_ms = now_ms
        audio = self.playout.position(item_id, samples)
        if audio is None:
            return
        item = self.transcript.items.get(item_id)
        marks = self.marks.get(item.response_id) if item else None
        if marks and marks.first_heard_ms is None and audio.heard > 0:
            marks.first_heard_ms = now_ms
            if self.first_audio_ms is None:
                self.first_audio_ms = now_ms
            self.out.append(marks.record())
        if item and audio.fully_heard and item_id not in self.cut and item.heard_ms is None:
            self.transcript.mark_heard(
                item, samples_to_ms(audio.heard), samples_to_ms(audio.produced), complete=True
            )
            self.out.append(self.transcript.record(item))
        if send:
            self.out += self.playout.due()

    def cleared(self, item_id: str, samples: int, now_ms: int) -> None:
        """The page answered a clear."""
        if item_id in self.playout.cleared:
            self._settle(item_id, samples, now_ms)

    def clear_expired(self, item_id: str, now_ms: int) -> None:
        """The page did not answer a clear in time: our own estimate holds."""
        if item_id in self.playout.cleared:
            self._settle(item_id, self.estimates.get(item_id, 0), now_ms)

    def _settle(self, item_id: str, samples: int, now_ms: int) -> None:
        """What was heard of a flushed item is known: tell the upstream, keep it, show it."""
        audio = self.playout.settle(item_id, samples)
        self.estimates.pop(item_id, None)
        item = self.transcript.items.get(item_id)
        if audio is None or item is None:
            return
        heard_ms, generated_ms = samples_to_ms(audio.heard), samples_to_ms(audio.produced)
        complete = audio.fully_heard
        if not complete:
            # Refused harmlessly when the upstream has dropped the item already: the answer names this event id.
            self.cuts += 1
            event = up.truncate(item_id, heard_ms) if heard_ms else up.delete(item_id)
            self.out.append(SendUpstream({**event, "event_id": f"cut_{self.cuts}"}, overtakes=True))
        elif item.status == PENDING:
            item.status = COMPLETED
        self.transcript.mark_heard(item, heard_ms, generated_ms, complete)
        item.changed_ms = now_ms
        self._keep_and_show(item)
        if marks := self.marks.get(item.response_id):
            marks.heard_ms, marks.generated_ms = heard_ms, generated_ms
            self.out.append(marks.record())

    # ---- what the upstream says: the person's side -------------------------------------------------------

    def on_speech_started(self, event: dict[str, Any], now_ms: int) -> None:
        """The person began to speak: barge-in when that is allowed."""
        item = self._open_user(up.id_of(event, "item_id"), now_ms)
        self.speaking_item = item.item_id
        self.speech_began_ms = up.count_of(event, "audio_start_ms")
        self.out.append(
            SendBrowser(
                message(
                    "speech.started", item_id=item.item_id, at_ms=now_ms, after=self.transcript.after(item)
                ),
                overtakes=True,
            )
        )
        if self.interruptible:
            self.interrupt(now_ms, upstream_cancels=bool(self.turn_detection))

    def on_speech_stopped(self, event: dict[str, Any], now_ms: int) -> None:
        """The person stopped."""
        item_id = up.id_of(event, "item_id")
        self.input_ended_ms = now_ms
        if self.speaking_item == item_id:
            self.speaking_item = None
            length_ms = up.count_of(event, "audio_end_ms") - self.speech_began_ms
            self.transcript.items[item_id].generated_ms = length_ms if length_ms > 0 else None
        self.out.append(SendBrowser(message("speech.stopped", item_id=item_id, at_ms=now_ms)))

    def on_committed(self, event: dict[str, Any], now_ms: int) -> None:
        """The person's audio is an item now."""
        item = self._open_user(up.id_of(event, "item_id"), now_ms)
        self.speaking_item = None
        self.tool_rounds = 0
        self.out.append(self.transcript.record(item))
        if self.turn_detection and self.turn_detection.get("create_response", True):
            self.gate.expect(now_ms)

    def _open_user(self, item_id: str, now_ms: int) -> Item:
        item = self.transcript.open(item_id, "user", "voice", now_ms)
        item.shown = True
        return item

    def on_input_transcript_delta(self, event: dict[str, Any], now_ms: int) -> None:
        """More of what the person said. Never a fresh item: the onset came before."""
        item = self.transcript.items.get(up.id_of(event, "item_id"))
        delta = up.text_of(event, "delta") if event.get("delta") is not None else ""
        if item is None or item.role != "user" or item.status != PENDING or not delta:
            return
        self._show_delta(item, delta, now_ms)

    def on_input_transcript_done(self, event: dict[str, Any], now_ms: int) -> None:
        """The whole of what the person said, or that it could not be understood."""
        item = self._open_user(up.id_of(event, "item_id"), now_ms)
        if event["type"].endswith("completed"):
            text = up.text_of(event, "transcript").strip()
            item.text, item.status = text, COMPLETED if text else FAILED
            self._keep_transcription_usage(item.item_id, event.get("usage"))
        else:
            item.status = FAILED
        item.changed_ms = now_ms
        self._keep_and_show(item)

    # ---- what the upstream says: answers -----------------------------------------------------------------

    def on_response_created(self, event: dict[str, Any], now_ms: int) -> None:
        """An answer begins."""
        response_id = up.id_of(up.object_of(event, "response"), "id")
        self.out += self.gate.created(response_id, now_ms)
        self.marks[response_id] = TurnMarks(response_id, self.input_ended_ms, now_ms)
        self.input_ended_ms = None
        if response_id not in self.gate.cancelled:
            self.out.append(SendBrowser(message("response.started", response_id=response_id)))

    def on_output_item_added(self, event: dict[str, Any], now_ms: int) -> None:
        """A part of the answer begins: a message to speak or write. Function calls are taken when they are done."""
        item_event = up.object_of(event, "item")
        if item_event.get("type") != "message":
            return
        self._answer_item(up.id_of(item_event, "id"), up.id_of(event, "response_id"), now_ms)

    def _answer_item(self, item_id: str, response_id: str, now_ms: int) -> Item | None:
        """The assistant's item, or None when its events are to be dropped."""
        if response_id in self.gate.cancelled:
            self.cut.add(item_id)
        if item_id in self.cut:
            return None
        item = self.transcript.open(item_id, "assistant", self.config.modality, now_ms)
        if item.role != "assistant":
            return None
        item.response_id, item.shown = response_id, True
        marks = self.marks.get(response_id)
        if marks and not marks.item_id:
            marks.item_id = item_id
        return item

    def on_answer_text_delta(self, event: dict[str, Any], now_ms: int) -> None:
        """More text of the answer, spoken or written."""
        item = self._answer_item(up.id_of(event, "item_id"), up.id_of(event, "response_id"), now_ms)
        delta = up.text_of(event, "delta")
        if item is None or not delta or item.status != PENDING:
            return
        self._note_first_delta(item, now_ms, spoken=self.config.modality == "text")
        self._show_delta(item, delta, now_ms)
        if now_ms - item.checkpoint_ms >= CHECKPOINT_MS:
            item.checkpoint_ms = now_ms
            self.out.append(self.transcript.record(item))

    def on_answer_text_done(self, event: dict[str, Any], now_ms: int) -> None:
        """The whole text of the answer."""
        item = self._answer_item(up.id_of(event, "item_id"), up.id_of(event, "response_id"), now_ms)
        if item is None or item.status != PENDING:
            return
        item.text = up.text_of(event, "transcript" if "transcript" in event else "text")

    def on_audio_delta(self, event: dict[str, Any], now_ms: int) -> None:
        """More speech of the answer."""
        item = self._answer_item(up.id_of(event, "item_id"), up.id_of(event, "response_id"), now_ms)
        delta = event.get("delta")
        if item is None or not isinstance(delta, str):
            return
        try:
            pcm = decode_base64(delta)
        except ValueError:
            raise up.Malformed("delta") from None
        if not pcm:
            return
        self._note_first_delta(item, now_ms, spoken=True)
        self.audio_out_ms += samples_to_ms(len(pcm) // 2)
        if not self.playout.add(item.item_id, pcm):
            self.out += self.gate.cancel()
            self.playout.finish(item.item_id)
            self.out.append(
                SendBrowser(
                    message("warning", code="answer.too_long", message="The answer was too long and was cut.")
                )
            )
        self.out += self.playout.due()

    def on_audio_done(self, event: dict[str, Any], now_ms: int) -> None:
        """All speech of the item was made."""
        self.playout.finish(up.id_of(event, "item_id"))
        self.out += self.playout.due()

    def on_output_item_done(self, event: dict[str, Any], now_ms: int) -> None:
        """A part of the answer is made: its text is final, or it is a function call to run."""
        item_event, response_id = up.object_of(event, "item"), up.id_of(event, "response_id")
        if item_event.get("type") == "function_call":
            if response_id not in self.gate.cancelled and item_event.get("status") == "completed":
                self._run_tool(item_event)
            return
        item = self._answer_item(up.id_of(item_event, "id"), response_id, now_ms)
        if item is None:
            return
        self.playout.finish(item.item_id)
        if item_event.get("status", "completed") == "completed" and item.status == PENDING:
            item.status, item.changed_ms = COMPLETED, now_ms
            self._keep_and_show(item)
        self.out += self.playout.due()

    def on_response_done(self, event: dict[str, Any], now_ms: int) -> None:
        """The answer is made, cancelled or failed; it need not have been heard yet."""
        response = up.object_of(event, "response")
        response_id = up.id_of(response, "id")
        status = response.get("status") if isinstance(response.get("status"), str) else "failed"
        details = response.get("status_details") if isinstance(response.get("status_details"), dict) else {}
        error = details.get("error") if isinstance(details.get("error"), dict) else {}
        code = error.get("code") if isinstance(error.get("code"), str) else None
        was_cut = response_id in self.gate.cancelled
        for item in self.transcript.items.values():
            if item.response_id != response_id:
                continue
            self.playout.finish(item.item_id)
            if item.status == PENDING:
                item.status = COMPLETED if status == "completed" else INTERRUPTED if item.text else FAILED
                item.changed_ms = now_ms
                self._keep_and_show(item)
        self._keep_response_usage(response_id, response.get("usage"))
        if marks := self.marks.get(response_id):
            marks.status = status or "failed"
            self.out.append(marks.record())
        if status == "completed":
            self.answers += 1
        self.out.append(
            SendBrowser(
                message(
                    "response.done",
                    response_id=response_id,
                    status=status,
                    reason=_reason(status, details, was_cut),
                )
            )
        )
        self.out += self.gate.done(response_id, now_ms)
        if status == "failed":
            self._answer_failed(code)
        self.out += self.playout.due()

    def _answer_failed(self, code: str | None) -> None:
        """An answer that failed says so: the upstream often sends no separate error."""
        if code in FATAL_UPSTREAM_CODES:
            self.fatal_code = code
            return
        limited = code in ("rate_limit_exceeded", "inference_rate_limit_exceeded")
        self.out.append(
            SendBrowser(
                message(
                    "error",
                    code="upstream.rate_limited" if limited else "upstream.answer_failed",
                    message="The voice service is busy. Wait a moment and try again."
                    if limited
                    else "The assistant could not answer. Try again.",
                    retryable=True,
                    retry_after=None,
                ),
                overtakes=True,
            )
        )
        for item in reversed(self.transcript.items.values()):
            if item.role == "user":
                if item.modality == "text" and item.status == COMPLETED:
                    item.status = UNANSWERED
                    self.out.append(self.transcript.record(item))
                break

    # ---- tools -------------------------------------------------------------------------------------------

    def _run_tool(self, call: dict[str, Any]) -> None:
        name, call_id = up.id_of(call, "name"), up.id_of(call, "call_id")
        arguments = up.text_of(call, "arguments", 16_000)
        self.tools_running.add(call_id)
        self.out.append(SendBrowser(message("tool.status", name=name, status="running")))
        self.out.append(RunTool(name, call_id, arguments))

    def tool_result(self, name: str, call_id: str, output: str, ok: bool, now_ms: int) -> None:
        """A server-side function is done; the answer goes on when all of them are."""
        if call_id not in self.tools_running:
            return
        self.tools_running.discard(call_id)
        self.out.append(SendBrowser(message("tool.status", name=name, status="done" if ok else "failed")))
        self.out.append(SendUpstream(up.create_tool_output(call_id, output)))
        if not self.tools_running:
            self.tool_rounds += 1
            if self.tool_rounds <= MAX_TOOL_ROUNDS:
                self.out += self.gate.want(now_ms)

    # ---- around the upstream's life ----------------------------------------------------------------------

    def upstream_lost(self, now_ms: int) -> None:
        """The upstream is gone: what it was making stays as it is, what it did not understand is marked so."""
        produced_nothing = self.gate.phase is Phase.ACTIVE
        for item in self.transcript.items.values():
            self.playout.finish(item.item_id)
            if item.status != PENDING:
                continue
            if item.item_id == self.speaking_item or (item.role == "assistant" and not item.text):
                self._discard(item)  # heard again by the next upstream, or asked for again
                continue
            if item.response_id == self.gate.active_id:
                produced_nothing = False
            item.status = INTERRUPTED if item.text else FAILED
            item.changed_ms = now_ms
            self._keep_and_show(item)
        self.speaking_item = None
        self.tools_running.clear()
        self.gate.wanted = self.gate.wanted or produced_nothing
        self.gate.reset()
        self.out += self.playout.due()

    def _discard(self, item: Item) -> None:
        """Of this item nothing came: it is not kept, and the page takes its place away."""
        shown = item.shown
        self.transcript.discard(item.item_id)
        if shown:
            self.out.append(SendBrowser(self._done_message(item, "discarded")))

    def finish(self, now_ms: int) -> None:
        """The session ends: settle what was heard, and mark what was never answered."""
        for audio in [*self.playout.clear(), *self.playout.cleared.values()]:
            self._settle_quietly(audio)
        answered = False
        for item in reversed(self.transcript.items.values()):
            if item.role == "assistant":
                answered = answered or item.status in (COMPLETED, INTERRUPTED)
            elif item.modality == "text" and item.status == COMPLETED and not answered:
                item.status = UNANSWERED
                self.out.append(self.transcript.record(item))
            elif item.role == "user":
                answered = True
            if item.status == PENDING and item.shown:
                item.status = INTERRUPTED if item.text else FAILED
                self.out.append(self.transcript.record(item))

    def _settle_quietly(self, audio: ItemAudio) -> None:
        item = self.transcript.items.get(audio.item_id)
        if item is not None and item.heard_ms is None:
            self.transcript.mark_heard(
                item, samples_to_ms(audio.heard), samples_to_ms(audio.produced), complete=audio.fully_heard
            )
            self.out.append(self.transcript.record(item))

    def snapshot(self, since_ms: int) -> None:
        """For a page that comes back: every item that may have changed while it was away, whole."""
        for item in self.transcript.items.values():
            if item.shown and (item.status == PENDING or item.changed_ms >= since_ms):
                self._show_done(item)
                if item.message_id:
                    self.out.append(SendBrowser(self.saved_message(item)))

    # ---- showing and keeping -----------------------------------------------------------------------------

    def saved(self, item_id: str, message_id: str) -> None:
        """The journal has stored the item: tell the page."""
        if item := self.transcript.items.get(item_id):
            item.message_id = message_id
            self.out.append(SendBrowser(self.saved_message(item)))

    def saved_message(self, item: Item) -> dict[str, Any]:
        """`message.saved` of an item."""
        return message(
            "message.saved",
            message_id=item.message_id,
            item_id=item.item_id,
            client_id=item.client_id,
            status=item.status,
        )

    def _show_delta(self, item: Item, delta: str, now_ms: int) -> None:
        item.text += delta
        item.shown, item.changed_ms = True, now_ms
        self.out.append(
            SendBrowser(
                message(
                    "transcript.delta",
                    item_id=item.item_id,
                    role=item.role,
                    text=delta,
                    after=self.transcript.after(item),
                )
            )
        )

    def _show_done(self, item: Item) -> None:
        item.shown = True
        self.out.append(SendBrowser(self._done_message(item, item.status)))

    def _done_message(self, item: Item, status: str) -> dict[str, Any]:
        return message(
            "transcript.done",
            item_id=item.item_id,
            role=item.role,
            text=item.text,
            after=self.transcript.after(item),
            status=status,
            client_id=item.client_id,
        )

    def _keep_and_show(self, item: Item) -> None:
        self.out.append(self.transcript.record(item))
        self._show_done(item)

    def _note_first_delta(self, item: Item, now_ms: int, *, spoken: bool) -> None:
        marks = self.marks.get(item.response_id)
        if spoken and marks and marks.first_delta_ms is None:
            marks.first_delta_ms = now_ms

    def _keep_response_usage(self, response_id: str, usage: Any) -> None:
        if not isinstance(usage, dict):
            return  # null on some cancelled and failed answers
        count = up.count_of
        self.out.append(
            RecordUsage(
                meter="response",
                reference=response_id,
                text_in=count(usage, "input_token_details", "text_tokens"),
                audio_in=count(usage, "input_token_details", "audio_tokens"),
                cached_text=count(usage, "input_token_details", "cached_tokens_details", "text_tokens"),
                cached_audio=count(usage, "input_token_details", "cached_tokens_details", "audio_tokens"),
                text_out=count(usage, "output_token_details", "text_tokens"),
                audio_out=count(usage, "output_token_details", "audio_tokens"),
            )
        )

    def _keep_transcription_usage(self, item_id: str, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        seconds = usage.get("seconds")
        count = up.count_of
        self.out.append(
            RecordUsage(
                meter="transcription",
                reference=item_id,
                text_in=count(usage, "input_token_details", "text_tokens"),
                audio_in=count(usage, "input_token_details", "audio_tokens"),
                text_out=count(usage, "output_tokens"),
                seconds=float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e6 else 0.0,
            )
        )


def _reason(status: str | None, details: dict[str, Any], was_cut: bool) -> str | None:
    """Why an answer is not complete, in words of our own choosing: nothing of the upstream's text is passed on."""
    if status == "completed":
        return None
    known = {"turn_detected", "client_cancelled", "max_output_tokens", "content_filter"}
    reason = details.get("reason")
    if reason in known:
        return str(reason)
    return "interrupted" if was_cut else "failed"
