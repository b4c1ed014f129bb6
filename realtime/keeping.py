"""What of a talk is kept, by the person's own choice: nothing, the transcript, or the audio too. Pure bookkeeping.

Audio is kept on two lanes: `said`, what came from the microphone, on the session's own count of samples; and `heard`,
what was really played of each answer, on the item's count. A change of the choice holds from the next sample on; of a
message, from the next one that begins: a sentence half kept would be neither.
"""

from __future__ import annotations

from realtime.audio import ms_to_samples, samples_to_ms
from realtime.effects import KeepAudio
from realtime.intake import Intake
from realtime.queues import Recent

NOTHING, TRANSCRIPT, AUDIO = LEVELS = ("nothing", "transcript", "audio")
SAID, HEARD = "said", "heard"


class Keeping:
    """The choice, and which samples were kept under it."""

    def __init__(self, level: str, intake: Intake, *, may_record: bool) -> None:
        self.intake = intake
        self.may_record = may_record  # False: the site keeps no audio, or the disk refused
        self.level = TRANSCRIPT
        self.audio = False
        self.choose(level)
        self._stretches: list[list[int]] = []  # samples of `said` that were kept, [first, end)
        self._speech: Recent[int] = Recent()  # where the item's speech began
        self._ended: Recent[tuple[int, int]] = Recent()
        self._held_from = 0  # push-to-talk: where what is not a turn yet began
        self._released: list[tuple[int, int]] = []
        self._heard: Recent[int] = Recent()  # kept samples by item

    def choose(self, level: str) -> bool:
        """Take a choice; True when that changed whether audio is kept."""
        before = self.audio
        self.level = level
        self.audio = level == AUDIO and self.may_record
        return self.audio != before

    # ---- the person's lane

    def said(self, pcm: bytes, count: int, now_ms: int) -> KeepAudio:
        """A frame of `count` samples that was just counted by the intake."""
        end = self.intake.total_samples
        first = end - count
        if self._stretches and self._stretches[-1][1] == first:
            self._stretches[-1][1] = end
        else:
            self._stretches.append([first, end])
        at_ms = now_ms - samples_to_ms(count) - self.intake.backlog_ms
        return KeepAudio(SAID, "", first, at_ms, pcm)

    def speech_began(self, item_id: str, audio_ms: int) -> None:
        """The upstream heard speech begin so many ms into the audio that it was sent."""
        self._speech[item_id] = self._place(audio_ms)

    def speech_ended(self, item_id: str, audio_ms: int) -> None:
        """And end."""
        end = self._place(audio_ms)
        self._ended[item_id] = (self._speech.pop(item_id, end), end)
        self._held_from = max(self._held_from, end)

    def released(self) -> None:
        """Push-to-talk: what came since the last turn is one."""
        end = self.intake.total_samples
        self._released.append((self._held_from, end))
        self._held_from = end

    def thrown_away(self) -> None:
        """Push-to-talk: what came since the last turn is none."""
        self._held_from = self.intake.total_samples

    def span_of(self, item_id: str, *, by_hand: bool) -> tuple[int, int] | None:
        """The samples of `said` that became this item, now that it is one; None when none of them was kept."""
        span = self._ended.pop(item_id, None)
        if span is None and by_hand and self._released:
            span = self._released.pop(0)
        return span if span is not None and self.kept_samples(*span) else None

    def kept_samples(self, first: int, end: int) -> int:
        """How many of these samples of `said` were kept."""
        return sum(max(0, min(end, stop) - max(first, start)) for start, stop in self._stretches)

    def _place(self, audio_ms: int) -> int:
        return min(self.intake.upstream_from + ms_to_samples(audio_ms), self.intake.total_samples)

    # ---- the assistant's lane

    def heard(self, item_id: str, first: int, pcm: bytes, now_ms: int) -> KeepAudio:
        """The page has just played these samples of an answer."""
        count = len(pcm) // 2
        self._heard[item_id] = self._heard.get(item_id, 0) + count
        return KeepAudio(HEARD, item_id, first, now_ms - samples_to_ms(count), pcm)

    def heard_ms(self, item_id: str) -> int | None:
        """How much of an answer was kept; None when none was."""
        return samples_to_ms(self._heard[item_id]) if item_id in self._heard else None
