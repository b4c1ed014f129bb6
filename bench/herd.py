"""How pages come back after a worker died: full jitter against the site's capacity to let people in. A simulation.

    python bench/herd.py [--chart docs/images/herd.svg]

Each page waits as static/voice/retry.js does (0.5 s doubling to 30 s, all of it random, 8 tries in 60 s), mints, and
is let in when the workers that are left have done the work for it; a mint that waits longer than its time-out is tried
again, which costs the work all the same. The first try of a lost session is answered with `session.gone`: each page
needs two. Nothing is measured here but the numbers that are given: cost of an admission, workers, cores.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass
from pathlib import Path

from chart import Axis, Line, chart

BASE_S, CAP_S, TRIES, GRACE_S = 0.5, 30.0, 8, 60.0
TIMEOUT_S = 10.0
SHED_S, REFUSAL_S = 3.0, 0.002
NEEDED = 2  # tries: the first finds the session gone, the second opens a new one


@dataclass
class Result:
    """What became of the pages."""

    back_s: list[float]
    gave_up: int
    peak_per_s: int
    per_second: list[int]

    def share_s(self, share: float) -> float:
        """By when this share of those who came back was back."""
        return (
            sorted(self.back_s)[min(len(self.back_s) - 1, int(len(self.back_s) * share))]
            if self.back_s
            else 0.0
        )


def simulate(
    pages: int, cores: int, cost_s: float, *, jitter: bool = True, sheds: bool = False, seed: int = 1
) -> Result:
    """Pages lose their worker at 0 s; the cores let them in, for `cost_s` of one core each.

    `sheds`: a try that would wait for more than SHED_S is refused at once, which costs REFUSAL_S.
    """
    rng = random.Random(seed)
    free_at = [0.0] * cores
    done = [0] * pages  # tries that succeeded
    back: list[float] = []
    gave_up = 0
    arrivals: list[float] = []

    def pause(attempt: int) -> float:
        most = min(CAP_S, BASE_S * 2 ** (attempt - 1))
        return rng.random() * most if jitter else most

    queue = [(pause(1), page, 1) for page in range(pages)]
    heapq.heapify(queue)
    while queue:
        now, page, attempt = heapq.heappop(queue)
        arrivals.append(now)
        start = max(now, heapq.heappop(free_at))
        refused = sheds and start - now > SHED_S
        finished = start + (REFUSAL_S if refused else cost_s)
        heapq.heappush(free_at, finished)
        if refused:
            finished = now
        elif finished - now <= TIMEOUT_S:
            done[page] += 1
            if done[page] == NEEDED:
                back.append(finished)
                continue
        retry = min(finished, now + TIMEOUT_S) + pause(attempt + 1)
        if attempt >= TRIES or retry > GRACE_S:
            gave_up += 1
        else:
            heapq.heappush(queue, (retry, page, attempt + 1))
    seconds = [0] * (int(max(arrivals)) + 1)
    for at in arrivals:
        seconds[int(at)] += 1
    return Result(back, gave_up, max(seconds), seconds)


def curve(pages: int, back_s: list[float]) -> list[tuple[float, float]]:
    """Share of the pages that are back, over time."""
    ordered = sorted(moment for moment in back_s if moment <= GRACE_S)
    return [
        (0.0, 0.0),
        *((moment, (place + 1) / pages) for place, moment in enumerate(ordered)),
        (GRACE_S, len(ordered) / pages),
    ]


MODES: dict[str, dict[str, bool]] = {"none": {"jitter": False}, "jitter": {}, "jitter, shed": {"sheds": True}}


def main() -> None:
    """The table, and the chart when asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--cost-ms", type=float, default=40.0, help="CPU time of one admission on a worker")
    arguments = parser.parse_args()
    cost_s = arguments.cost_ms / 1000
    print(
        f"{arguments.cost_ms:.0f} ms of a core for each try; times until 50 %, 95 %, 100 % of the pages are back"
    )
    print(
        f"{'pages':>8} {'cores':>6} {'waits':>11} {'50 %':>7} {'95 %':>7} {'100 %':>7} {'tries/s':>8} {'gave up':>8}"
    )
    for pages, cores in (
        (25, 3),
        (200, 3),
        (500, 3),
        (1_000, 3),
        (1_000, 30),
        (5_000, 30),
        (10_000, 30),
        (10_000, 300),
    ):
        for name, how in MODES.items():
            found = simulate(pages, cores, cost_s, **how)
            times = " ".join(f"{found.share_s(share):6.1f}s" for share in (0.5, 0.95, 1.0))
            print(f"{pages:8} {cores:6} {name:>11} {times} {found.peak_per_s:8} {found.gave_up:8}")
    if arguments.chart:
        cases = ((200, 3, "jitter"), (500, 3, "jitter"), (1_000, 3, "jitter"), (1_000, 3, "jitter, shed"))
        lines = [
            Line(
                f"{pages:,} pages, {cores} cores, {how}",
                curve(pages, simulate(pages, cores, cost_s, **MODES[how]).back_s),
                dots=False,
            )
            for pages, cores, how in cases
        ]
        seconds = Axis(range(0, 61, 10), words=[f"{second} s" for second in range(0, 61, 10)])
        shares = Axis((0, 0.25, 0.5, 0.75, 1), words=("0 %", "25 %", "50 %", "75 %", "100 %"))
        arguments.chart.write_text(chart("Pages that are back", seconds, shares, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
