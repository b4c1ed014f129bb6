"""What both sides of a talk share: transcript, playout, gate, marks, and how items are shown and kept. Pure."""

from __future__ import annotations

from typing import Any

from realtime.allowance import MADE_MS_PER_TOKEN, Allowance, Context
from realtime.audio import ms_to_samples, samples_to_ms
from realtime.browser_events import message
from realtime.conf import RelayConfig
from realtime.effects import Effect, RecordEvent, RecordUsage, Release, SendBrowser
from realtime.gate import ResponseGate
from realtime.intake import Intake
from realtime.keeping import NOTHING, Keeping
from realtime.latency import TurnMarks
from realtime.playout import Playout
from realtime.queues import Recent, RecentIds
from realtime.transcript import PENDING, Item, Transcript
from realtime.usage import RunningCost


class Talk:
    """The state of the talk. Effects are appended to `out`, which the session hands to its relay."""

    def __init__(self, config: RelayConfig, out: list[Effect], intake: Intake) -> None:
        self.config = config
        self.out = out
        self.intake = intake
        self.keeping = Keeping(
            config.keep, intake, may_record=config.may_record and config.modality == "voice"
        )
        self.transcript = Transcript(config.first_position)
        self.playout = Playout(ms_to_samples(config.ahead_ms), config.downlink_cap_bytes)
        self.transcript.keeps = self.keeping.level != NOTHING
        self.playout.keeps = self.keeping.audio
        self.allowance = Allowance(config, out)
        self.gate = ResponseGate(config.responses_per_minute, lambda: self.allowance.funded)
        self.turn_detection = dict(config.turn_detection) if config.turn_detection else None
        self.interruptible = config.interruptible
        self.marks: Recent[TurnMarks] = Recent()  # by response
        self.input_ended_ms: int | None = (
            None  # speech stopped or text arrived, and no answer has begun since
        )
        self.silence_ms: int | None = None  # that turn detection waited for before it said so
        self.cut = RecentIds()  # items whose late events are dropped
        self.tools_running: dict[str, int] = {}  # by call: since when
        self.tools_response = ""  # the answer that called them
        self.tools_returned = 0  # results that no answer was asked for yet
        self.tools_abandoned = False  # the person went on meanwhile: no answer is asked for
        self.tool_rounds = 0  # since the person last said something
        self.interruptions = 0
        self.answers = 0
        self.audio_out_ms = 0
        self.cost = RunningCost(config.rates)
        self.first_audio_ms: int | None = None
        self.fatal_code: str | None = None  # an answer failed in a way that no retry can mend

    @property
    def audio_in_ms(self) -> int:
        """Microphone audio that came so far."""
        return samples_to_ms(self.intake.total_samples)

    def note(self, name: str, at_ms: int, /, **data: Any) -> None:
        """Keep that something happened, by name and numbers."""
        self.out.append(RecordEvent(at_ms, name, data))

    def tell_error(self, code: str, text: str) -> None:
        """Something that was asked for came to nothing; the talk goes on, and it can be asked for again."""
        error = message("error", code=code, message=text, retryable=True, retry_after=None)
        self.out.append(SendBrowser(error, overtakes=True))

    def input_ended(self, now_ms: int, silence_ms: int | None = None) -> None:
        """The person is done, and waits for an answer; the upstream may have waited for a silence to be sure of it."""
        self.input_ended_ms, self.silence_ms = now_ms, silence_ms

    def forget_tools(self) -> None:
        """Results that are still to come are of no use any more."""
        self.tools_running.clear()
        self.tools_returned, self.tools_abandoned = 0, False

    def keep_usage(self, used: RecordUsage) -> None:
        """Keep what was used, and tell the page what the session has cost so far."""
        self.out.append(used)
        self.cost.add(used, used.model)
        self.out.append(
            SendBrowser(
                message(
                    "usage",
                    audio_in_ms=self.audio_in_ms,
                    audio_out_ms=self.audio_out_ms,
                    cost_usd=self.cost.told_usd,
                    cost_complete=self.cost.complete,
                )
            )
        )

    def keep_heard(self, now_ms: int) -> None:
        """What the page has just played is kept, when the person wants that."""
        for item_id, first, pcm in self.playout.heard:
            self.out.append(self.keeping.heard(item_id, first, pcm, now_ms))
            if item := self.transcript.items.get(item_id):
                item.audio_ms = self.keeping.heard_ms(item_id)
        self.playout.heard.clear()

    def settle_untold(self, response_id: str, made_ms: int, now_ms: int, *, charge: bool = True) -> None:
        """An answer is over, or was cut off, without a word about its usage: charge it by our own count, or nothing."""
        read = self.allowance.under_way().get(response_id)
        if read is None:
            return  # told before, or never begun
        texts = [item.text for item in self.transcript.items.values() if item.response_id == response_id]
        made = Context(sum(len(text) for text in texts) // 3, made_ms // MADE_MS_PER_TOKEN)
        settles = self.allowance.done(response_id, None, made, now_ms)
        if not charge or self.config.rates.free:
            if settles:
                self.out.append(Release(settles))
            return
        self.keep_usage(
            RecordUsage(
                meter="response",
                reference=response_id,
                text_in=read.text,
                audio_in=read.audio,
                text_out=made.text,
                audio_out=made.audio,
                model=self.config.model,
                estimated=True,
                settles=settles,
            )
        )

    def discard(self, item: Item) -> None:
        """Of this item nothing came: it is not kept, and the page takes its place away."""
        shown = item.shown
        self.transcript.discard(item.item_id)
        if shown:
            self.out.append(SendBrowser(self.done_message(item, "discarded")))

    def snapshot(self, since_ms: int) -> None:
        """For a page that comes back: every item that may have changed while it was away, whole."""
        for item in self.transcript.items.values():
            if item.shown and (item.status == PENDING or item.changed_ms >= since_ms):
                self.show_done(item)
                if item.message_id:
                    self.out.append(SendBrowser(self.saved_message(item)))

    def saved(self, item_id: str, message_id: str, status: str, now_ms: int) -> None:
        """The journal has stored the item: tell the page, or the one that comes back."""
        if item := self.transcript.items.get(item_id):
            item.message_id, item.stored_status, item.changed_ms = message_id, status, now_ms
            self.out.append(SendBrowser(self.saved_message(item)))

    def saved_message(self, item: Item) -> dict[str, Any]:
        """`message.saved` of an item."""
        return message(
            "message.saved",
            message_id=item.message_id,
            item_id=item.item_id,
            client_id=item.client_id,
            status=item.stored_status,  # not what it is by now: that is on its way to the database
        )

    def show_delta(self, item: Item, delta: str, now_ms: int) -> None:
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
                    samples=self.made_samples(item),
                )
            )
        )

    def made_samples(self, item: Item) -> int | None:
        """Samples of the item's speech that were made so far; None for what is not spoken, or was heard already."""
        audio = self.playout.items.get(item.item_id) or self.playout.cleared.get(item.item_id)
        return None if audio is None else audio.produced

    def show_done(self, item: Item) -> None:
        item.shown = True
        self.out.append(SendBrowser(self.done_message(item, item.status)))

    def done_message(self, item: Item, status: str) -> dict[str, Any]:
        return message(
            "transcript.done",
            item_id=item.item_id,
            role=item.role,
            text=item.text,
            after=self.transcript.after(item),
            status=status,
            client_id=item.client_id,
            samples=self.made_samples(item),
            unsure=item.doubtful,
        )

    def keep_and_show(self, item: Item) -> None:
        self.out.append(self.transcript.record(item))
        self.show_done(item)
