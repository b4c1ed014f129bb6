"""The probe on a terminal: all stages at once, redrawn as they go. Prints nothing anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any, TextIO

from realtime.probe_faults import STAGES, Stage

REDRAW_S = 0.1
UP, ERASE = "\x1b[{}A", "\x1b[K"
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"  # long lines at the edge: a line that is wrapped could not be drawn over


class Display:
    """`with Display(out, line) as display:` shows stages up to `until`; `display.over(stage)` when one is.

    `line(stage)` writes a stage that is over. A thread of its own redraws, so that the time of a running stage goes on.
    """

    def __init__(
        self, out: TextIO, line: Callable[[Stage], str], until: str, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.out, self.line, self.clock = out, line, clock
        self.names = STAGES[: STAGES.index(until) + 1]
        self.stages: list[Stage] = []
        self.began_s = clock()
        self._drawn = False
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="probe display", daemon=True)

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._left.set()
        self._thread.join()
        self.draw(running=False)

    def _keep_drawing(self) -> None:
        while not self._left.wait(REDRAW_S):
            self.draw()

    def over(self, stage: Stage) -> None:
        """A stage is over."""
        with self._lock:
            self.stages.append(stage)
            self.began_s = self.clock()
        self.draw()

    def draw(self, *, running: bool = True) -> None:
        """All stages: those that are over, the one that runs with its time so far, those that wait."""
        with self._lock:
            lines = [self.line(stage) for stage in self.stages]
            for number, name in enumerate(self.names[len(lines) :]):
                time = f"{(self.clock() - self.began_s) * 1000:9.1f} ms" if running and not number else ""
                mark = "..." if time else "" if running else "-"  # what waits, and what was never reached
                lines.append(f"{mark:4} {name:16} {time}".rstrip())
            up = UP.format(len(self.names)) if self._drawn else ""
            text = "".join(f"{line}{ERASE}\n" for line in lines)
            self.out.write(f"{up}{CUT}{text}{WRAP}" if running else up + text)
            self.out.flush()
            self._drawn = True
