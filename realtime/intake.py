"""Microphone audio of a session: counted, paced, held for an upstream, remembered until it is an item. Pure."""

from __future__ import annotations

from realtime.audio import BYTES_PER_MS, BYTES_PER_SAMPLE, bytes_to_samples, samples_to_ms
from realtime.browser_events import check_frame
from realtime.effects import Effect, SendUpstreamAudio
from realtime.exceptions import TooFast
from realtime.queues import audio_budget, frame_budget

ACK_EVERY_SAMPLES = 12_000
MAX_DROPPED_MS = 10_000  # audio faster than real time for this long ends the connection
MAX_GAP_MS = 60_000  # what a page keeps while it is away
QUIET_AUDIO_MS = 1_000  # kept while nobody speaks: the onset of a word that was not recognised as speech yet


class Intake:
    """What comes from the microphone. `samples` is on the page's own count, so that both sides agree where to go on."""

    def __init__(self, held_ms: int) -> None:
        self.held_ms = held_ms
        self.samples = 0
        self.total_samples = 0
        self.acked_samples = 0
        self.dropped_bytes = 0
        self.upstream_from = 0  # of all samples, the first that the present upstream was sent
        self.messages = frame_budget()  # of any kind; shared with the session's messages that cost nothing
        self._audio = audio_budget()
        self._held: list[bytes] = []  # for an upstream that is not ready
        self._held_bytes = 0
        self._unsettled: list[bytes] = []  # sent, but not an item yet
        self._unsettled_bytes = 0
        # Bytes since push-to-talk was released; None: nothing was.
        self._after_release: int | None = None

    def attach(self, captured_samples: int) -> None:
        """A page says how much it has captured. The gap is granted on top of the pace: it was spoken in real time."""
        if captured_samples < self.samples:
            self.samples = 0  # a reloaded page counts from nothing again
        self.acked_samples = self.samples
        gap_ms = min(samples_to_ms(captured_samples - self.samples), MAX_GAP_MS)
        self._audio.credit = max(self._audio.credit, gap_ms * BYTES_PER_MS)

    def take(self, pcm: bytes, now_ms: int, *, ready: bool, speaking: bool) -> list[Effect]:
        """A frame. Raises BadMessage, TooLarge or TooFast."""
        check_frame(pcm)
        samples = len(pcm) // BYTES_PER_SAMPLE
        self.samples += samples
        self.total_samples += samples
        granted = self._audio.credit > 0
        if not (self.messages.take(1, now_ms) and self._audio.take(len(pcm), now_ms)):
            self.not_sent(len(pcm))
            if self.dropped_ms > MAX_DROPPED_MS:
                raise TooFast("audio")
            return []
        if not ready:
            self._hold(pcm)
            return []
        self._remember(pcm, speaking)
        return [SendUpstreamAudio(pcm, keep=granted)]

    @property
    def dropped_ms(self) -> int:
        """Audio that never reached the upstream."""
        return self.dropped_bytes // BYTES_PER_MS

    @property
    def backlog_ms(self) -> int:
        """How much of what the page had captured before it connected has not come yet."""
        return int(self._audio.credit) // BYTES_PER_MS

    @property
    def unsettled_ms(self) -> int:
        """How much was sent that is no item yet."""
        waiting = self._unsettled_bytes if self._after_release is None else self._after_release
        return waiting // BYTES_PER_MS

    def not_sent(self, count_bytes: int) -> None:
        """Audio that was taken never reached the upstream."""
        self.dropped_bytes += count_bytes
        self.upstream_from += bytes_to_samples(count_bytes)

    @property
    def ack_due(self) -> bool:
        """Whether the page should be told how far we are."""
        return self.samples - self.acked_samples >= ACK_EVERY_SAMPLES

    def ready(self, *, speaking: bool) -> list[Effect]:
        """The upstream is ready: what was held goes first."""
        effects: list[Effect] = []
        self.upstream_from = self.total_samples - bytes_to_samples(self._held_bytes)
        while self._held:
            pcm = self._held.pop(0)
            effects.append(SendUpstreamAudio(pcm, keep=True))
            self._remember(pcm, speaking)
        self._held_bytes = 0
        return effects

    def lost(self) -> None:
        """The upstream is gone: the next one hears again what was no item yet."""
        self._held[:0] = self._unsettled
        self._held_bytes += self._unsettled_bytes
        self._unsettled.clear()
        self._unsettled_bytes, self._after_release = 0, None

    def released(self) -> None:
        """Push-to-talk: what was sent so far is to be an item; what comes from now on belongs to the next one."""
        self._after_release = 0

    def settled(self) -> None:
        """What was sent, up to the last release if there was one, is an item now."""
        left_bytes, self._after_release = self._after_release or 0, None
        while self._unsettled and self._unsettled_bytes - len(self._unsettled[0]) >= left_bytes:
            self._unsettled_bytes -= len(self._unsettled.pop(0))

    def thrown_away(self) -> None:
        """Nothing that was sent or is held is to be an item."""
        self._after_release = None
        self._unsettled.clear()
        self._held.clear()
        self._unsettled_bytes = self._held_bytes = 0

    def _hold(self, pcm: bytes) -> None:
        self._held.append(pcm)
        self._held_bytes += len(pcm)
        while self._held_bytes > self.held_ms * BYTES_PER_MS:
            oldest = len(self._held.pop(0))
            self._held_bytes -= oldest
            self.dropped_bytes += oldest

    def _remember(self, pcm: bytes, speaking: bool) -> None:
        self._unsettled.append(pcm)
        self._unsettled_bytes += len(pcm)
        if self._after_release is not None:
            self._after_release += len(pcm)
        bound_ms = self.held_ms if speaking else QUIET_AUDIO_MS
        while self._unsettled_bytes > bound_ms * BYTES_PER_MS:
            self._unsettled_bytes -= len(self._unsettled.pop(0))
