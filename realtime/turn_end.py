"""The end of an event loop's turn: what sockets have to send by then goes out in one go, after all that came is heard.

A send wakes its peer, which costs more than the sending. Sent one after another, many frames wake a peer once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

MAX_GATHERED = 16  # messages of one socket: more go out at once, so that its own back-pressure is heeded


class TurnEnd:
    """One per event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._soon = loop.call_soon
        self._acts: list[Callable[[], None]] = []

    def call(self, act: Callable[[], None]) -> None:
        """Call `act`, which never raises, before the loop looks at its sockets again."""
        if not self._acts:
            self._soon(self._come)
        self._acts.append(act)

    def _come(self) -> None:
        acts, self._acts = self._acts, []
        for act in acts:
            act()


_ENDS: WeakKeyDictionary[asyncio.AbstractEventLoop, TurnEnd] = WeakKeyDictionary()


def turn_end() -> TurnEnd:
    """Of the running loop."""
    loop = asyncio.get_running_loop()
    end = _ENDS.get(loop)
    if end is None:
        end = _ENDS[loop] = TurnEnd(loop)
    return end


class Gathered:
    """What one socket has to send at the end of this turn, in order; `put` sends it, and never raises."""

    __slots__ = ("_put", "_turn_end", "_waiting")

    def __init__(self, put: Callable[[list[bytes]], None]) -> None:
        self._put = put
        self._turn_end = turn_end()
        self._waiting: list[bytes] = []

    def add(self, message: bytes) -> None:
        """One more."""
        if not self._waiting:
            self._turn_end.call(self.send)
        self._waiting.append(message)
        if len(self._waiting) >= MAX_GATHERED:
            self.send()

    def send(self) -> None:
        """Send now what there is: something else is to follow it."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._put(waiting)
