"""The assistant's side of a talk: responses, their items, text, speech, function calls and usage. Pure.

Order and fields of the events follow the provider's published event reference. What belongs to a cancelled response
or to an item that was cut is dropped, however late it comes.
"""

from __future__ import annotations

from typing import Any

from realtime import upstream_events as up
from realtime.allowance import Context
from realtime.audio import decode_base64, samples_to_ms
from realtime.browser_events import message
from realtime.effects import RecordUsage, RunTool, SendBrowser, SendBrowserAudio, SendUpstream
from realtime.exceptions import FATAL_UPSTREAM_CODES
from realtime.gate import Phase
from realtime.latency import TurnMarks
from realtime.talk import Talk
from realtime.transcript import COMPLETED, FAILED, INTERRUPTED, PENDING, UNANSWERED, Item
from realtime.usage import RESPONSE

CHECKPOINT_MS = 1_000  # partial answers are kept at least this often
MAX_TOOL_ROUNDS = 5
ANSWER_ENDS = ("completed", "cancelled", "failed", "incomplete")


class Answers:
    """Takes the upstream's events about answers."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.made_ms: dict[str, int] = {}  # speech of the answers under way, by response

    def on_response_created(self, event: dict[str, Any], now_ms: int) -> None:
        """An answer begins."""
        response_id = up.id_of(up.object_of(event, "response"), "id")
        if response_id in self.talk.marks:
            return  # told before
        self.talk.out += self.talk.gate.created(response_id, now_ms)
        self.talk.allowance.heard(self.talk.audio_in_ms)
        if not self.talk.allowance.began(response_id, now_ms):
            self.talk.out += self.talk.gate.cancel()  # nothing is reserved for it
        marks = TurnMarks(response_id, self.talk.input_ended_ms, self.talk.silence_ms, now_ms)
        self.talk.marks[response_id] = marks
        self.talk.input_ended_ms = self.talk.silence_ms = None
        self.talk.note("response.started", now_ms)
        if response_id not in self.talk.gate.cancelled:
            self.talk.out.append(SendBrowser(message("response.started", response_id=response_id)))

    def on_output_item_added(self, event: dict[str, Any], now_ms: int) -> None:
        """A part of the answer begins: a message to speak or write. Function calls are taken when they are done."""
        item_event = up.object_of(event, "item")
        if item_event.get("type") != "message":
            return
        self._answer_item(up.id_of(item_event, "id"), up.id_of(event, "response_id"), now_ms)

    def _answer_item(self, item_id: str, response_id: str, now_ms: int) -> Item | None:
        """The assistant's item, or None when its events are to be dropped."""
        if response_id in self.talk.gate.cancelled:
            self.talk.cut.add(item_id)
        if item_id in self.talk.cut:
            return None
        item = self.talk.transcript.open(
            item_id, "assistant", "voice" if self.talk.config.speaks else "text", now_ms
        )
        if item.role != "assistant":
            return None
        item.response_id, item.shown = response_id, True
        marks = self.talk.marks.get(response_id)
        if marks and not marks.item_id:
            marks.item_id = item_id
        return item

    def on_answer_text_delta(self, event: dict[str, Any], now_ms: int) -> None:
        """More text of the answer, spoken or written."""
        item = self._answer_item(up.id_of(event, "item_id"), up.id_of(event, "response_id"), now_ms)
        delta = up.text_of(event, "delta")
        if item is None or not delta or item.status != PENDING:
            return
        self._note_first_delta(item, now_ms, spoken=not self.talk.config.speaks)
        self.talk.show_delta(item, delta, now_ms)
        if now_ms - item.checkpoint_ms >= CHECKPOINT_MS:
            item.checkpoint_ms = now_ms
            self.talk.out.append(self.talk.transcript.record(item))

    def on_answer_text_done(self, event: dict[str, Any], now_ms: int) -> None:
        """The whole text of the answer."""
        item = self._answer_item(up.id_of(event, "item_id"), up.id_of(event, "response_id"), now_ms)
        if item is None or item.status != PENDING:
            return
        item.text = up.text_of(event, "transcript" if "transcript" in event else "text")

    def on_audio_delta(self, event: dict[str, Any], now_ms: int) -> None:
        """More speech of the answer."""
        response_id, item_id, delta = (
            up.id_of(event, "response_id"),
            up.id_of(event, "item_id"),
            event.get("delta"),
        )
        if not isinstance(delta, str):
            self._answer_item(item_id, response_id, now_ms)
            return
        try:
            pcm = decode_base64(delta)
        except ValueError:
            raise up.Malformed("delta") from None
        if self.on_speech(response_id, item_id, pcm, now_ms):
            self.talk.out.append(SendBrowserAudio(pcm))

    def on_speech(self, response_id: str, item_id: str, pcm: bytes, now_ms: int) -> bool:
        """More speech, as PCM16. True: the caller sends it to the page as it is, nothing else follows."""
        item = self._answer_item(item_id, response_id, now_ms)
        if item is None or not pcm:
            return False
        self._note_first_delta(item, now_ms, spoken=True)
        length_ms = samples_to_ms(len(pcm) // 2)
        self.talk.audio_out_ms += length_ms
        made_ms = self.made_ms.get(item.response_id, 0) + length_ms
        self.made_ms[item.response_id] = made_ms
        too_long = made_ms > self.talk.config.max_answer_audio_ms
        if not too_long and self.talk.playout.flow(item_id, pcm):
            return True
        if too_long or not self.talk.playout.add(item_id, pcm):
            self.talk.out += self.talk.gate.cancel()
            self.talk.playout.finish(item_id)
            self.talk.out.append(
                SendBrowser(
                    message("warning", code="answer.too_long", message="The answer was too long and was cut.")
                )
            )
        self.talk.out += self.talk.playout.due()
        return False

    def on_audio_done(self, event: dict[str, Any], now_ms: int) -> None:
        """All speech of the item was made."""
        self.talk.playout.finish(up.id_of(event, "item_id"))
        self.talk.out += self.talk.playout.due()

    def on_output_item_done(self, event: dict[str, Any], now_ms: int) -> None:
        """A part of the answer is made: its text is final, or it is a function call to run."""
        item_event, response_id = up.object_of(event, "item"), up.id_of(event, "response_id")
        if item_event.get("type") == "function_call":
            if response_id not in self.talk.gate.cancelled and item_event.get("status") == "completed":
                self._run_tool(item_event, response_id, now_ms)
            return
        item = self._answer_item(up.id_of(item_event, "id"), response_id, now_ms)
        if item is None:
            return
        self.talk.playout.finish(item.item_id)
        if item_event.get("status", "completed") == "completed" and item.status == PENDING:
            item.status, item.changed_ms = COMPLETED, now_ms
            self.talk.keep_and_show(item)
        self.talk.out += self.talk.playout.due()

    def on_response_done(self, event: dict[str, Any], now_ms: int) -> None:
        """The answer is made, cancelled or failed; it need not have been heard yet."""
        response = up.object_of(event, "response")
        response_id = up.id_of(response, "id")
        status = response.get("status")
        if status not in ANSWER_ENDS:
            status = "failed"
        details = up.object_or_empty(response, "status_details")
        code = up.word_of(up.object_or_empty(details, "error"), "code")
        marks = self.talk.marks.get(response_id)
        if marks and marks.status != "in_progress":
            return  # told before: an answer counts once
        made_ms = self.made_ms.pop(response_id, 0)
        was_cut = response_id in self.talk.gate.cancelled
        for item in self.talk.transcript.items.values():
            if item.response_id != response_id:
                continue
            self.talk.playout.finish(item.item_id)
            if item.status == PENDING:
                item.status = COMPLETED if status == "completed" else INTERRUPTED if item.text else FAILED
                item.changed_ms = now_ms
                self.talk.keep_and_show(item)
        self._keep_response_usage(response_id, response.get("usage"), made_ms, now_ms, status)
        if marks:
            marks.status = status
            self.talk.out.append(marks.record())
        self.talk.note("response.done", now_ms, status=status, **({"code": code} if code else {}))
        if status == "completed":
            self.talk.answers += 1
        self.talk.out.append(
            SendBrowser(
                message(
                    "response.done",
                    response_id=response_id,
                    status=status,
                    reason=_reason(status, details, was_cut),
                )
            )
        )
        if status == "failed" and (code in FATAL_UPSTREAM_CODES or not was_cut):
            self.failed(code)  # before what waits is asked for: that is not the message that failed
        self.talk.out += self.talk.gate.done(response_id, now_ms)
        self._go_on_after_tools(now_ms)
        self.talk.out += self.talk.playout.due()

    def failed(self, code: str | None) -> None:
        """An answer that failed, or never began, says so: the upstream often sends no separate error."""
        if code in FATAL_UPSTREAM_CODES:
            self.talk.fatal_code = code
            return
        if code in ("rate_limit_exceeded", "inference_rate_limit_exceeded"):
            self.talk.tell_error(
                "upstream.rate_limited", "The voice service is busy. Wait a moment and try again."
            )
        else:
            self.talk.tell_error("upstream.answer_failed", "The assistant could not answer. Try again.")
        for item in reversed(self.talk.transcript.items.values()):
            if item.role == "user":
                if item.modality == "text" and item.status == COMPLETED:
                    item.status = UNANSWERED
                    self.talk.out.append(self.talk.transcript.record(item))
                break

    def _run_tool(self, call: dict[str, Any], response_id: str, now_ms: int) -> None:
        name, call_id = up.id_of(call, "name"), up.id_of(call, "call_id")
        arguments = up.text_of(call, "arguments", 16_000)
        if not self.talk.tools_running:
            self.talk.tools_abandoned = False
        self.talk.tools_running[call_id] = now_ms
        self.talk.tools_response = response_id
        self.talk.note("tool.called", now_ms, name=name[:64])
        self.talk.out.append(SendBrowser(message("tool.status", name=name, status="running")))
        self.talk.out.append(RunTool(name, call_id, arguments))

    def tool_result(self, name: str, call_id: str, output: str, ok: bool, now_ms: int) -> None:
        """A server-side function is done; the answer goes on when all of them are."""
        if call_id not in self.talk.tools_running:
            return
        took_ms = max(0, now_ms - self.talk.tools_running.pop(call_id))
        self.talk.note("tool.done", now_ms, name=name[:64], ok=ok, ms=took_ms)
        self.talk.out.append(
            SendBrowser(message("tool.status", name=name, status="done" if ok else "failed"))
        )
        self.talk.out.append(SendUpstream(up.create_tool_output(call_id, output)))
        self.talk.allowance.told(output)
        self.talk.tools_returned += 1
        self._go_on_after_tools(now_ms)

    def _go_on_after_tools(self, now_ms: int) -> None:
        """Ask for one answer to all results: after the last of them, and after the answer that called for them."""
        talk = self.talk
        calling = talk.gate.phase is Phase.ACTIVE and talk.gate.active_id == talk.tools_response
        if talk.tools_running or calling or not talk.tools_returned:
            return
        talk.tools_returned = 0
        if talk.tools_abandoned:
            talk.tools_abandoned = False
            return
        talk.tool_rounds += 1
        if talk.tool_rounds <= MAX_TOOL_ROUNDS:
            talk.out += talk.gate.want(now_ms)
        else:
            self.failed(None)

    def _note_first_delta(self, item: Item, now_ms: int, *, spoken: bool) -> None:
        marks = self.talk.marks.get(item.response_id)
        if spoken and marks and marks.first_delta_ms is None:
            marks.first_delta_ms = now_ms

    def has_begun(self, response_id: str) -> bool:
        """Whether anything of the answer was made that is heard or read."""
        marks = self.talk.marks.get(response_id)
        return marks is not None and marks.first_delta_ms is not None

    def cut_off(self, now_ms: int) -> None:
        """The upstream is gone: what it was in the middle of is charged by our own count."""
        for response_id in self.talk.allowance.under_way():
            self.talk.settle_untold(response_id, self.made_ms.pop(response_id, 0), now_ms)

    def _keep_response_usage(
        self, response_id: str, usage: Any, made_ms: int, now_ms: int, status: str
    ) -> None:
        if not isinstance(usage, dict):  # null on some cancelled and failed answers
            self.talk.settle_untold(response_id, made_ms, now_ms, charge=status != "failed")
            return
        count = up.count_of
        audio_out = count(usage, "output_token_details", "audio_tokens")
        text_in = count(usage, "input_token_details", "text_tokens")
        audio_in = count(usage, "input_token_details", "audio_tokens")
        total_out = count(usage, "output_tokens")
        used = Context(text_in + max(0, total_out - audio_out), audio_in + audio_out)
        self.talk.keep_usage(
            RecordUsage(
                meter=RESPONSE,
                reference=response_id,
                text_in=text_in,
                audio_in=audio_in,
                cached_text=count(usage, "input_token_details", "cached_tokens_details", "text_tokens"),
                cached_audio=count(usage, "input_token_details", "cached_tokens_details", "audio_tokens"),
                # Reasoning is billed as text; whether it is in the text's count or beside it differs by model.
                text_out=max(
                    count(usage, "output_token_details", "text_tokens"),
                    count(usage, "output_tokens") - audio_out,
                ),
                audio_out=audio_out,
                image_in=count(usage, "input_token_details", "image_tokens"),
                cached_image=count(usage, "input_token_details", "cached_tokens_details", "image_tokens"),
                reasoning_out=count(usage, "output_token_details", "reasoning_tokens"),
                model=self.talk.config.model,
                settles=self.talk.allowance.done(response_id, used, Context(), now_ms),
            )
        )


def _reason(status: str, details: dict[str, Any], was_cut: bool) -> str | None:
    """Why an answer is not complete, in words of our own choosing: nothing of the upstream's text is passed on."""
    if status == "completed":
        return None
    known = {"turn_detected", "client_cancelled", "max_output_tokens", "content_filter"}
    reason = up.word_of(details, "reason")
    if reason in known:
        return reason
    return "interrupted" if was_cut else "failed"
