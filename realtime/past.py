"""What lies behind, summed up in short steps: hours for the dashboard, days for the totals. Draws nothing.

A running site does it by itself soon after it began (`switchboard.py`), `manage.py realtime_sweep` at once. Whoever
looks earlier sees the latest part, and each look goes on for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from realtime import hours, usage_days

STEP_S = 0.05
LOOK_S = 0.05  # of an admin's page, which takes a while itself


def for_s(seconds: float, clock: Callable[[], float] = time.perf_counter) -> Callable[[], bool]:
    """Says yes once, and again for so long: on however slow a machine, each step goes on by one.

    What is begun by then is finished, so it may become a little longer.
    """
    until, asked = clock() + seconds, False

    def go_on() -> bool:
        nonlocal asked
        first, asked = not asked, True
        return first or clock() < until

    return go_on


def step(now: datetime | None = None, go_on: Callable[[], bool] | None = None) -> int:
    """Sum up a part of what lies behind; returns how many hours and days are left."""
    go_on = go_on or for_s(STEP_S)
    return hours.settle(now, go_on=go_on) + usage_days.settle(now, go_on=go_on)


def whole(tell: Callable[[int], None] = lambda left: None) -> None:
    """Sum up all of it now, for commands; `tell` hears about once a second how many hours and days are left."""
    before = 0
    while (left := step(go_on=for_s(1.0))) and left != before:
        tell(left)
        before = left
