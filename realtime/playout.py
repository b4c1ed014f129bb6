"""Speech on its way to the page: produced, sent and heard samples per item, the window, truncation points, replay.

Pure bookkeeping and bytes; no sockets. Counts are samples at 24 kHz of one item, and heard <= sent <= produced.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from realtime.audio import BYTES_PER_SAMPLE, samples_to_ms
from realtime.browser_events import message
from realtime.effects import Effect, SendBrowser, SendBrowserAudio

CHUNK_SAMPLES = 4_800  # 200 ms a frame
PIECE_BYTES = 48_000  # a second


@dataclass(slots=True)
class Kept:
    """PCM16 in the pieces that it came in: nothing is moved or copied when some is added, or some is forgotten."""

    first: int = 0  # the sample that the first piece begins with
    size: int = 0  # bytes
    pieces: deque[bytes] = field(default_factory=deque)

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.first + self.size // BYTES_PER_SAMPLE

    def add(self, pcm: bytes) -> None:
        """What follows. A long piece is cut, for it is forgotten as a whole."""
        self.size += len(pcm)
        if len(pcm) <= PIECE_BYTES:
            self.pieces.append(pcm)
        else:
            self.pieces.extend(pcm[at : at + PIECE_BYTES] for at in range(0, len(pcm), PIECE_BYTES))

    def slice(self, start: int, stop: int) -> bytes:
        """Samples [start, stop), which must be there."""
        found, at = [], self.first
        for piece in self.pieces:
            if at >= stop:
                break
            end = at + len(piece) // BYTES_PER_SAMPLE
            if end > start:
                low, high = max(start - at, 0) * BYTES_PER_SAMPLE, (stop - at) * BYTES_PER_SAMPLE
                found.append(piece[low:high])
            at = end
        return found[0] if len(found) == 1 else b"".join(found)

    def forget(self, before: int) -> None:
        """Give back the pieces that lie wholly before this sample."""
        while self.pieces and self.first + len(self.pieces[0]) // BYTES_PER_SAMPLE <= before:
            gone = len(self.pieces.popleft())
            self.size -= gone
            self.first += gone // BYTES_PER_SAMPLE


@dataclass(slots=True)
class ItemAudio:
    """One item's speech. `kept` holds what was not heard yet, for it may have to be sent again."""

    item_id: str
    kept: Kept = field(default_factory=Kept)
    sent: int = 0
    heard: int = 0
    finished: bool = False  # the upstream made all of it
    ended: bool = False  # audio.end was sent
    tail: bytes = b""  # of a flushed item: what was sent and not known as heard, from `tail_from` on
    tail_from: int = 0

    @property
    def produced(self) -> int:
        """Samples the upstream made so far."""
        return self.kept.end

    @property
    def fully_heard(self) -> bool:
        """Whether every sample was played and no more will come."""
        return self.finished and self.heard >= self.produced

    def slice(self, start: int, stop: int) -> bytes:
        """Samples [start, stop) that are still kept."""
        return self.kept.slice(start, stop)

    def forget_heard(self) -> None:
        """Give back the memory of what was heard."""
        self.kept.forget(min(self.heard, self.sent))


class Playout:
    """The items in the order they are spoken, and what may be sent now."""

    def __init__(self, ahead_samples: int, cap_bytes: int) -> None:
        self.ahead_samples = ahead_samples
        self.cap_bytes = cap_bytes
        self.items: OrderedDict[str, ItemAudio] = OrderedDict()
        self.played = 0  # samples, of all items
        self.cleared: dict[str, ItemAudio] = {}  # flushed, waiting for the page to say how much was heard
        self.paused = True  # no page is there to send to
        self.begun: str | None = None  # the item that binary frames belong to now
        self.keeps = False  # what is heard is to be kept: it is gathered in `heard`
        self.heard: list[tuple[str, int, bytes]] = []  # item, first sample, PCM
        self._done: ItemAudio | None = None  # the last one that was heard to its end
        self._end_owed: ItemAudio | None = None  # its end may have been lost with a connection

    # -- from the upstream

    def add(self, item_id: str, pcm: bytes) -> bool:
        """More speech of an item. False when the session's cap is reached: the audio was not taken."""
        if self.held_bytes + len(pcm) > self.cap_bytes:
            return False
        item = self.items.get(item_id)
        if item is None:
            item = self.items[item_id] = ItemAudio(item_id)
        item.kept.add(pcm)
        return True

    def flow(self, item_id: str, pcm: bytes) -> bool:
        """`add` and `due` in one, for speech that may go to the page as it is: the common case of a delta.

        False, and nothing done: something waits before it, it is too long, or the page must be told more.
        """
        item = self.items.get(item_id)
        if item is None or self.begun != item_id or self.paused or item.ended:
            return False
        samples, held_bytes, ahead = len(pcm) // BYTES_PER_SAMPLE, len(pcm), 0
        for other in self.items.values():
            held_bytes += other.kept.size
            ahead += other.sent - other.heard
        if item.sent != item.kept.end or samples > CHUNK_SAMPLES:
            return False
        if held_bytes > self.cap_bytes or ahead + samples > self.ahead_samples:
            return False
        item.kept.add(pcm)
        item.sent += samples
        return True

    def finish(self, item_id: str) -> None:
        """The upstream made all of the item."""
        if item := self.items.get(item_id):
            item.finished = True

    @property
    def held_bytes(self) -> int:
        """Bytes kept for all items: the back-pressure measure."""
        return sum(item.kept.size for item in self.items.values())

    # -- to the page

    def due(self) -> list[Effect]:
        """What may be sent now: at most `ahead_samples` further than what was heard."""
        effects: list[Effect] = []
        if self.paused:
            return effects
        if self._end_owed is not None:
            effects.append(_end_of(self._end_owed))
            self._end_owed = None
        room = self.ahead_samples - sum(item.sent - item.heard for item in self.items.values())
        for item in self.items.values():
            if item.ended:
                continue
            while room > 0 and item.sent < item.produced:
                if self.begun != item.item_id:
                    effects.append(SendBrowser(self._begin(item)))
                stop = min(item.sent + min(CHUNK_SAMPLES, room), item.produced)
                effects.append(SendBrowserAudio(item.slice(item.sent, stop)))
                room -= stop - item.sent
                item.sent = stop
            if item.sent < item.produced or not item.finished:
                break  # items are spoken one after the other
            if item.produced:
                effects.append(_end_of(item))
            item.ended = True
        return effects

    def _begin(self, item: ItemAudio) -> dict[str, object]:
        self.begun = item.item_id
        return message(
            "audio.begin", item_id=item.item_id, offset_ms=samples_to_ms(item.sent), offset_samples=item.sent
        )

    @property
    def window_full(self) -> bool:
        """Whether audio waits that the window holds back."""
        ahead, held_back = 0, False
        for item in self.items.values():
            ahead += item.sent - item.heard
            held_back = held_back or item.sent < item.produced
        return held_back and ahead >= self.ahead_samples

    @property
    def sounding(self) -> ItemAudio | None:
        """The item that is heard now or next: sent in part and not fully heard."""
        for item in self.items.values():
            if item.sent > 0 and not item.fully_heard:
                return item
        return None

    # -- from the page

    def position(self, item_id: str, samples: int) -> ItemAudio | None:
        """The page played so many samples of the item. Never more than was sent, never back. None: unknown item."""
        item = self.items.get(item_id) or self.cleared.get(item_id)
        if item is None:
            return None
        self._hear(item, samples)
        item.forget_heard()
        if item.fully_heard:
            self._done = self.items.pop(item_id, None) or self._done
            if self.begun == item_id:
                self.begun = None
        return item

    def _hear(self, item: ItemAudio, samples: int) -> None:
        before, item.heard = item.heard, max(item.heard, min(samples, item.sent))
        self.played += item.heard - before
        if self.keeps and item.heard > before:
            if item.tail:
                pcm = item.tail[
                    (before - item.tail_from) * BYTES_PER_SAMPLE : (item.heard - item.tail_from)
                    * BYTES_PER_SAMPLE
                ]
            else:
                pcm = item.slice(before, item.heard)
            if pcm:
                self.heard.append((item.item_id, before, pcm))

    def clear(self) -> list[ItemAudio]:
        """Flush everything: the items of which something is unheard, in order. Those begun wait in `cleared`."""
        flushed = [item for item in self.items.values() if not item.fully_heard]
        self.items.clear()
        self.begun = None
        for item in flushed:
            if self.keeps:
                item.tail, item.tail_from = item.slice(item.heard, item.sent), item.heard
            item.kept = Kept(item.produced)
            self.cleared[item.item_id] = item
        return flushed

    def settle(self, item_id: str, samples: int | None) -> ItemAudio | None:
        """The page answered a clear (or did not: None): the item with its final `heard`."""
        item = self.cleared.pop(item_id, None)
        if item is not None and samples is not None:
            self._hear(item, samples)
        return item

    def rewind(self, received: tuple[str, int] | None) -> dict[str, object] | None:
        """A page came back. `received`: the item and samples that it still holds; None when it holds nothing.

        What it lacks is due again, from now on. Returns the mark to tell the page, or None when nothing is sent again.
        """
        self.paused, self.begun = False, None
        first: dict[str, object] | None = None
        held_before = received is not None and received[0] in self.items
        if received is not None and self._done is not None and received[0] == self._done.item_id:
            self._end_owed = self._done
        for item in self.items.values():
            if held_before and received is not None and item.item_id != received[0]:
                continue  # the page holds all of the items before the one it names
            if held_before and received is not None:
                item.sent = max(item.kept.first, min(item.sent, received[1]))
                held_before = False
            else:
                item.sent = max(item.kept.first, min(item.heard, item.sent))
            item.ended = False  # the end may have been lost with the connection
            if first is None and item.sent < item.produced:
                first = {"item_id": item.item_id, "samples": item.sent}
        return first


def _end_of(item: ItemAudio) -> SendBrowser:
    return SendBrowser(message("audio.end", item_id=item.item_id, samples=item.produced))
