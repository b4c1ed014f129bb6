"""The thread that watches the process: an event loop that stands still, and an end that takes too long. No sessions.

A loop that is blocked cannot report or repair itself, and a supervisor sees a process that looks alive. So a thread of
its own looks for signs of life, says where the loop is stuck, and ends the process when that goes on: the sessions'
rows are ended by the reaper of whoever comes next, and the pages start again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

logger = logging.getLogger("realtime.watchdog")
LOOK_EVERY_S = 0.25
WARN_S = 1.0
SAY_S = 1.0  # for a line of the log: whoever holds its lock may be what hangs
EXIT_HUNG = 70  # EX_SOFTWARE of sysexits.h: supervisors restart after any code but 0


class Stillness:
    """For how long no sign of life was seen. Pure: time is an argument.

    Between two looks at most twice the usual pause counts, so that a process which was itself stopped for a while
    (a debugger, a laptop that slept, a machine that was moved) is not taken for one that hangs.
    """

    def __init__(self, look_every_s: float) -> None:
        self._most_s = 2 * look_every_s
        self._signs = -1
        self._looked_s = 0.0
        self.still_s = 0.0

    def look(self, signs: int, now_s: float) -> float:
        """`signs`: how many signs of life there were so far. Returns seconds without one."""
        if signs != self._signs:
            self._signs, self.still_s = signs, 0.0
        else:
            self.still_s += min(now_s - self._looked_s, self._most_s)
        self._looked_s = now_s
        return self.still_s


class Watchdog:
    """`start(loop)` from the loop's own thread; `end_by` from any, also from a signal handler."""

    def __init__(self, exit_after_s: float, *, end_code: Callable[[], int]) -> None:
        """`exit_after_s`: how long the loop may stand still, 0 for ever. `end_code`: the exit code after `end_by`."""
        self._exit_after_s = exit_after_s
        self._end_code = end_code
        self._end_at_s: float | None = None
        self._signs = 0
        self._watches_loop = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = threading.get_ident()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch. The thread is a daemon: it never keeps the process."""
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._give_sign()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def end_by(self, seconds: float) -> None:
        """The process is to be gone within so many seconds, whatever still waits then."""
        self._end_at_s = time.monotonic() + seconds

    def loop_is_done(self) -> None:
        """The loop has ended as it should: its silence means nothing from now on."""
        self._watches_loop = False

    def _give_sign(self) -> None:
        self._signs += 1
        if self._loop is not None and self._watches_loop:
            self._loop.call_later(LOOK_EVERY_S, self._give_sign)

    def _watch(self) -> None:
        stillness, warned_s = Stillness(LOOK_EVERY_S), 0.0
        while True:
            # A thread of its own: it has to wake up when the loop does not.
            time.sleep(LOOK_EVERY_S)
            now_s = time.monotonic()
            if self._end_at_s is not None and now_s >= self._end_at_s:
                self._leave("the end took too long", self._end_code())
            still_s = stillness.look(self._signs, now_s)
            if not self._watches_loop:
                continue
            if still_s >= WARN_S and not warned_s:
                self._say(logging.WARNING, f"the event loop stands still in {self._where()}")
            elif warned_s and still_s < WARN_S:
                self._say(logging.WARNING, f"the event loop goes on after {warned_s:.1f} s")
            warned_s = still_s if still_s >= WARN_S else 0.0
            if self._exit_after_s and still_s >= self._exit_after_s:
                self._leave(f"the event loop stood still for {still_s:.0f} s in {self._where()}", EXIT_HUNG)

    def _where(self) -> str:
        """The innermost calls of the loop's thread: names of files and functions, no values."""
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)
        calls: list[str] = []
        while frame is not None and len(calls) < 4:
            code = frame.f_code
            calls.append(f"{code.co_name} ({os.path.basename(code.co_filename)}:{frame.f_lineno})")  # noqa: PTH119
            frame = frame.f_back
        return " < ".join(calls)

    def _leave(self, why: str, code: int) -> None:
        self._say(logging.CRITICAL, f"{why}: the process ends now")
        os._exit(code)

    def _say(self, level: int, sentence: str) -> None:
        """Log, but wait for it only so long."""
        line = threading.Thread(target=logger.log, args=(level, sentence), name="watchdog's log", daemon=True)
        line.start()
        line.join(SAY_S)
