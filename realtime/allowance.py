"""What a session may spend: the most that each coming answer can cost, and which of it is reserved. Pure.

One answer is always reserved before it can begin, whoever begins it: the first one with the session's row, the next one
as soon as an answer has begun. So neither we nor the upstream's own turn detection waits for the database, and past
a budget there is at most the answer that is under way. Microphone time is reserved by the minute in the same way.
Bounds are true upper bounds: a token is at least one byte of text, and speech has a fixed number of tokens a second.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from realtime.conf import RelayConfig
from realtime.effects import Effect, Release, Reserve
from realtime.queues import Recent
from realtime.usage import MILLION

FIRST_ANSWER, STRETCH = "answer_1", "stretch"
STRETCH_S = 60  # so far ahead of the call its time is reserved
RENEW_MS = 20_000
ASK_AGAIN_MS = 1_000  # after a refusal: an answer of our own may just be settling
SETTLING_MS = 2_000  # so long after our last answer a refusal is not final
# What may be typed, returned by tools and spoken before the reservation is looked at again.
HEADROOM_TEXT_TOKENS, HEADROOM_AUDIO_MS = 4_096, 60_000
HEARD_MS_PER_TOKEN, MADE_MS_PER_TOKEN = 100, 50  # documented by the provider
ITEM_TOKENS = 16  # around each message
AUDIO_PACE = Decimal("1.25")  # a page may send so much faster than real time


class Verdict(Enum):
    """What became of a wish to reserve."""

    GRANTED = "granted"
    UNLIMITED = "unlimited"  # no budget binds this session: nothing had to be reserved
    REFUSED = "refused"
    UNKNOWN = "unknown"  # the database did not answer


@dataclass(slots=True)
class Context:
    """What the upstream reads again for each answer, in tokens at most."""

    text: int = 0
    audio: int = 0


def first_answer_usd(config: RelayConfig) -> Decimal | None:
    """What the first answer of a session can cost at most; None when its price is not known."""
    return answer_usd(config, _told(config))


def answer_usd(config: RelayConfig, context: Context) -> Decimal | None:
    """What an answer to this context can cost at most, with headroom; None when a price is not known."""
    if config.rates.free:
        return Decimal(0)
    rate = config.rates.by_model.get(config.model)
    voice = config.modality == "voice"
    if rate is None or rate.per_minute is not None:
        return None
    text_in, text_out = _dearest(rate.text_in, rate.text_cached), rate.text_out
    audio_in, audio_out = _dearest(rate.audio_in, rate.audio_cached), rate.audio_out
    if text_in is None or text_out is None or (voice and (audio_in is None or audio_out is None)):
        return None
    usd = (context.text + HEADROOM_TEXT_TOKENS) * text_in + config.max_output_tokens * text_out
    if voice and audio_in is not None and audio_out is not None:
        audio = context.audio + HEADROOM_AUDIO_MS // HEARD_MS_PER_TOKEN
        usd += audio * audio_in + config.max_output_tokens * max(Decimal(0), audio_out - text_out)
    return usd / MILLION


def stretch_usd(config: RelayConfig, seconds: int) -> Decimal | None:
    """What the transcription of so much microphone time, and the time itself, can cost; None when it is not known.

    The time of a session is charged by the minute as it goes, so no more than two minutes of it are ever open.
    """
    if config.rates.free or config.modality != "voice":
        return Decimal(0)
    rate, main = (config.rates.by_model.get(name) for name in (config.transcription_model, config.model))
    if rate is None or main is None:
        return None
    time_usd = (main.session_per_minute or Decimal(0)) * min(seconds, 2 * STRETCH_S) / 60
    if rate.per_minute is not None:
        return time_usd + rate.per_minute * seconds * AUDIO_PACE / 60
    if rate.audio_in is None or rate.text_out is None:
        return None
    tokens = seconds * 1000 * AUDIO_PACE / HEARD_MS_PER_TOKEN
    return time_usd + tokens * (rate.audio_in + rate.text_out) / MILLION


def _dearest(full: Decimal | None, cached: Decimal | None) -> Decimal | None:
    return full if full is None or cached is None else max(full, cached)


def _told(config: RelayConfig) -> Context:
    texts = [config.instructions, json.dumps(config.tools), *(seed.text for seed in config.history)]
    return Context(text=sum(_tokens(text) for text in texts))


def _tokens(text: str) -> int:
    return len(text.encode("utf-8", "replace")) + ITEM_TOKENS


class Allowance:
    """The reservations of one session. Effects are appended to `out`."""

    def __init__(self, config: RelayConfig, out: list[Effect]) -> None:
        self.config = config
        self.out = out
        self.limited = config.limited
        self.in_hand: str | None = FIRST_ANSWER
        self.waiting = ""  # asked for, no word yet
        self.refused = False
        self.owing: str | None = None  # an answer that began before its reservation was there
        self.running: dict[str, str] = {}  # answer -> its reservation
        self.stretch_s = STRETCH_S  # the time of the call that is reserved, from its beginning
        self.last_answer_ms = 0  # when an answer of ours was last under way
        self._context = _told(config)
        self._marks: dict[str, Context] = {}  # what the context was when an answer began
        self._heard_tokens = 0
        self._in_hand_usd = first_answer_usd(config)
        self._asked_usd: Decimal | None = None
        self._asked_s = 0
        self._number = 1
        self._cut_s = 0  # microphone time before this is in items
        self._untranscribed: Recent[int] = Recent()  # item -> where its microphone time begins

    @property
    def funded(self) -> bool:
        """Whether an answer may begin."""
        return not self.limited or self.in_hand is not None

    @property
    def closed(self) -> bool:
        """Whether the budgets have no room for another answer now."""
        return self.limited and self.refused

    # ---- what makes the next answer dearer ---------------------------------------------------------------

    def told(self, text: str) -> None:
        """The upstream was told a text: typed, returned by a tool, or our own."""
        self._context.text += _tokens(text)

    def heard(self, audio_ms: int) -> None:
        """So much microphone audio has come in all."""
        tokens = -(-audio_ms // HEARD_MS_PER_TOKEN)
        self._context.audio += max(0, tokens - self._heard_tokens)
        self._heard_tokens = max(tokens, self._heard_tokens)

    def committed(self, item_id: str, now_ms: int) -> None:
        """Microphone audio became an item: its transcription will be charged."""
        self._untranscribed[item_id] = self._cut_s
        self._cut_s = now_ms // 1000

    def transcribed(self, item_id: str) -> None:
        """The item's transcription was charged, or failed."""
        self._untranscribed.pop(item_id, None)

    # ---- answers -----------------------------------------------------------------------------------------

    def began(self, response_id: str, now_ms: int) -> bool:
        """An answer began: it takes the reservation in hand, and the next one is asked for. False: stop it."""
        self.last_answer_ms = now_ms
        self._marks[response_id] = Context(self._context.text, self._context.audio)
        if self.in_hand is not None:
            self.running[response_id], self.in_hand = self.in_hand, None
            self._ask_for_next()
            return True
        if not self.waiting and not self.limited:
            self._ask_for_next()
        self.owing = response_id if self.waiting else None
        return bool(self.waiting)

    def done(self, response_id: str, used: Context | None, made: Context, now_ms: int) -> str:
        """An answer is over; returns the reservation that its usage settles, or "".

        `used`: its input and output by the upstream's own count, None when it told none. `made`: its output by ours.
        """
        self.last_answer_ms = now_ms
        mark = self._marks.pop(response_id, None)
        if mark is not None and used is not None:
            self._context.text += used.text - mark.text
            self._context.audio += used.audio - mark.audio
        else:
            self._context.text += made.text
            self._context.audio += made.audio
        if self.owing == response_id:
            self.owing = None
        return self.running.pop(response_id, "")

    def under_way(self) -> dict[str, Context]:
        """The answers that began and are not done, each with its input at most."""
        return {name: Context(mark.text, mark.audio) for name, mark in self._marks.items()}

    def _ask_for_next(self) -> None:
        self._number += 1
        # What the answers under way add to the context is not known yet: at most all that they may say.
        coming = self.config.max_output_tokens * len(self._marks)
        text, audio = self._context.text, self._context.audio
        voice = self.config.modality == "voice"
        context = Context(text, audio + coming) if voice else Context(text + coming, audio)
        self.waiting = f"answer_{self._number}"
        self._asked_usd = answer_usd(self.config, context)
        self.out.append(Reserve(self.waiting, self._asked_usd))

    # ---- the word of the budgets -------------------------------------------------------------------------

    def reserved(self, reference: str, verdict: Verdict) -> bool:
        """What became of a wish. False: stop the answer that began before its reservation was there."""
        if verdict is not Verdict.UNKNOWN:
            self.limited = verdict is not Verdict.UNLIMITED
        had = verdict in (Verdict.GRANTED, Verdict.UNLIMITED)
        if reference == STRETCH:
            self.stretch_s = self._asked_s if had else self.stretch_s
            return True
        if reference == self.in_hand:  # more for the answer in hand, which has become dearer
            if verdict is Verdict.REFUSED:
                self.out.append(Release(reference))
                self.in_hand, self.refused = None, True
            return True
        if reference != self.waiting:
            return True  # it was taken for an answer meanwhile
        self.waiting = ""
        self.refused = verdict is Verdict.REFUSED
        owing, self.owing = self.owing, None
        if not had:
            return owing is None or not self.limited
        self._in_hand_usd = self._asked_usd
        if owing is None:
            self.in_hand = reference
        else:
            self.running[owing] = reference
            self._ask_for_next()
        return True

    def renew(self, now_ms: int) -> None:
        """Reserve on: more time, an answer that was refused, more for one in hand that has become dearer."""
        if self.config.modality == "voice":
            self._asked_s = now_ms // 1000 + STRETCH_S
            unsettled_s = self._asked_s - min([*self._untranscribed.values(), self._cut_s])
            self.out.append(Reserve(STRETCH, stretch_usd(self.config, unsettled_s), self._asked_s))
        if self.in_hand is None and not self.waiting:
            self._ask_for_next()
        usd = answer_usd(self.config, self._context)
        if self.in_hand is not None and (usd or 0) > (self._in_hand_usd or 0):
            self._in_hand_usd = usd
            self.out.append(Reserve(self.in_hand, usd))

    def look_again_ms(self, now_ms: int) -> int:
        """After how many ms `renew` is due."""
        if self.limited and self.in_hand is None:
            return ASK_AGAIN_MS
        return max(ASK_AGAIN_MS, min(RENEW_MS, self.stretch_s * 1000 - now_ms))

    def is_spent(self, now_ms: int) -> bool:
        """Whether there is no room for another answer, and nothing of our own that settles could make some."""
        settled = not self.running and now_ms >= self.last_answer_ms + SETTLING_MS
        return self.closed and not self.in_hand and settled

    def time_is_spent(self, now_ms: int) -> bool:
        """Whether the call has used all the time that was reserved for it."""
        return self.limited and self.config.modality == "voice" and now_ms >= self.stretch_s * 1000
