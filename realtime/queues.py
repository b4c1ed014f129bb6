"""What is bounded in a session: what waits for upstream and page, how fast a page may talk, what is known by id. Pure.

Lists and not deques: an empty deque is 760 bytes, and these are empty nearly always.

Bounds: microphone audio waiting for the upstream `max_audio_bytes` (oldest dropped and counted; control never);
messages waiting for the page are bounded by the playout window and by `Outbox.max_bytes`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from realtime.audio import BYTES_PER_MS
from realtime.upstream_events import append_json

LATEST = 64  # answers or items: what still comes to earlier ones comes to nothing
T = TypeVar("T")


class Recent(dict[str, T]):
    """What is known of the latest answers or items, by id: a call of hours holds no more of it than one of minutes."""

    def __setitem__(self, name: str, value: T) -> None:
        super().__setitem__(name, value)
        while len(self) > LATEST:
            del self[next(iter(self))]

    def setdefault(self, name: str, value: T) -> T:
        """As of a dict, within the bound."""
        if name not in self:
            self[name] = value
        return self[name]


class RecentIds(Recent[bool]):
    """The latest ids that were added."""

    def add(self, name: str) -> None:
        """As of a set, within the bound."""
        self[name] = True


class Uplink:
    """What waits for the upstream socket. Audio is dropped oldest first; control keeps its place or overtakes."""

    def __init__(self, max_audio_bytes: int) -> None:
        self.max_audio_bytes = max_audio_bytes
        self.dropped_bytes = 0
        self._urgent: list[bytes] = []  # few at a time
        self._line: list[bytes | tuple[bytes, bool]] = []  # control text, or (audio, keep)
        self._audio_bytes = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._line)

    def put_control(self, event: dict[str, Any], overtakes: bool = False) -> None:
        """A control event, never dropped."""
        (self._urgent if overtakes else self._line).append(json.dumps(event, ensure_ascii=False).encode())

    def put_audio(self, pcm: bytes, keep: bool = False) -> None:
        """A frame. `keep`: of a resume, never dropped and not counted."""
        self._line.append((pcm, keep))
        if keep:
            return
        self._audio_bytes += len(pcm)
        while self._audio_bytes > self.max_audio_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        for index, entry in enumerate(self._line):
            if isinstance(entry, tuple) and not entry[1]:
                del self._line[index]
                self._audio_bytes -= len(entry[0])
                self.dropped_bytes += len(entry[0])
                return

    def pop(self) -> bytes | None:
        """The next text to send, or None."""
        if self._urgent:
            return self._urgent.pop(0)
        if not self._line:
            return None
        entry = self._line.pop(0)
        if isinstance(entry, bytes):
            return entry
        if not entry[1]:
            self._audio_bytes -= len(entry[0])
        return append_json(entry[0])

    def clear(self) -> None:
        """Forget everything: the upstream it was meant for is gone."""
        self._urgent.clear()
        self._line.clear()
        self._audio_bytes = 0


class Outbox:
    """What waits for the page's socket: texts and audio frames in order; what overtakes goes first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._urgent: list[str] = []  # few at a time
        self._line: list[tuple[str | bytes, bool]] = []  # (payload, rides with the audio)

    def __len__(self) -> int:
        return len(self._urgent) + len(self._line)

    @property
    def overfull(self) -> bool:
        """Whether the page has stopped reading: more waits than a session may hold."""
        return self.bytes > self.max_bytes

    def put_message(self, message: dict[str, Any], overtakes: bool = False) -> None:
        """A JSON message. A clear drops all audio that waits, with its begins and ends."""
        if message["type"] == "audio.clear":
            self.bytes -= sum(len(entry[0]) for entry in self._line if entry[1])
            self._line = [entry for entry in self._line if not entry[1]]
        text = json.dumps(message, ensure_ascii=False)
        self.bytes += len(text)
        if overtakes:
            self._urgent.append(text)
        else:
            self._line.append((text, message["type"] in ("audio.begin", "audio.end")))

    def put_audio(self, pcm: bytes) -> None:
        """A speech frame."""
        self.bytes += len(pcm)
        self._line.append((pcm, True))

    def clear(self) -> None:
        """Forget everything: nobody reads it."""
        self._urgent.clear()
        self._line.clear()
        self.bytes = 0

    def pop(self) -> str | bytes | None:
        """The next payload, or None."""
        if self._urgent:
            payload: str | bytes = self._urgent.pop(0)
        elif self._line:
            payload = self._line.pop(0)[0]
        else:
            return None
        self.bytes -= len(payload)
        return payload


@dataclass(slots=True)
class Budget:
    """A token bucket: `rate_per_s` refills up to `burst`; `credit` comes on top and is spent first (a resume's gap)."""

    rate_per_s: float
    burst: float
    level: float = -1.0
    credit: float = 0.0
    at_ms: int = 0

    def take(self, amount: float, now_ms: int) -> bool:
        """Spend, if there is enough."""
        level = self.level
        if level < 0:
            level = self.burst
        elif now_ms != self.at_ms:
            level += (now_ms - self.at_ms) * self.rate_per_s / 1000
            if level > self.burst:
                level = self.burst
        self.at_ms = now_ms
        from_credit = 0.0
        if self.credit:
            from_credit = min(self.credit, amount)
            amount -= from_credit
        if level < amount:
            self.level = level
            return False
        self.credit -= from_credit
        self.level = level - amount
        return True


def audio_budget() -> Budget:
    """Microphone audio: 1.25 times real time with a 2-second burst."""
    return Budget(rate_per_s=1.25 * 1000 * BYTES_PER_MS, burst=2000 * BYTES_PER_MS)


def control_budget() -> Budget:
    """Messages other than audio and positions: 10 a second with a burst of 20."""
    return Budget(rate_per_s=10, burst=20)


def upstream_budget() -> Budget:
    """Events that we act on: 200 a second on average. The burst is a long answer that comes all at once."""
    return Budget(rate_per_s=200, burst=4_000)


def frame_budget() -> Budget:
    """Messages of any kind: 60 a second; the burst covers a quick resume."""
    return Budget(rate_per_s=250, burst=500)
