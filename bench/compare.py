"""The product beside relays as others write them, in one interleaved run: CPU, latency, memory, a slow query, syscalls.

    python bench/compare.py [--rounds N] [--only TABLE,TABLE]

Tables: unpaced, paced, crowd, slow, memory, syscalls. What it measures goes to var/bench/results.json, and as tables to
the terminal; `python bench/report.py` puts them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from relays import install_peers, relays
from rig import WORK, Relay, build, load, load_command, resident_kib, started, tls_upstream, upstream

RESULTS = WORK / "results.json"
ALL = ("floor", "product-uvicorn", "product-daphne", "tutorial-daphne", "websockets", "aiohttp", "node-ws")
OURS = ("product-uvicorn", "product-daphne", "tutorial-daphne")
WARM_S = 0.5
FEW, MANY = 50, 400  # idle sessions
UNPACED: dict[str, Any] = {"window": 2, "seconds": 2, "environment": {"UNPACED": "1"}}
SHORT_S, LONG_S = 1, 4  # the two runs whose difference counts
Wanted = dict[str, tuple[int, ...]]  # relays, and the numbers of sessions
FIGURES = ("us_per_pair", "percent_per_session", "p50_ms", "p99_ms", "max_ms", "sessions", "pairs")


def rounds_of(
    wanted: Wanted,
    rounds: int,
    *,
    known: dict[str, Relay] | None = None,
    environment: dict[str, str] | None = None,
    warm: float = WARM_S,
    **options: Any,
) -> dict[tuple[str, int], dict[str, Any]]:
    """Each relay in turn, again and again, with so many sessions; the median of each figure, and every fault seen.

    Several numbers of sessions are measured in one process, one after the other.
    """
    seen: dict[tuple[str, int], list[dict[str, Any]]] = {}
    known = known or relays()
    for number in range(rounds):
        for name, counts in wanted.items():
            if name not in known:
                continue
            try:
                with started(known[name], **(environment or {})) as pid:
                    for count in counts:
                        figures = load(known[name], pid, count, warm=warm, **options)
                        seen.setdefault((name, count), []).append(figures)
                        print(
                            f"  round {number + 1} {name} {count}: {figures['us_per_pair']:.0f} us, "
                            f"p99 {figures['p99_ms']:.2f} ms",
                            flush=True,
                        )
            except RuntimeError as error:  # a relay that cannot do it is a result too
                print(f"  {name}: {error}")
    return {key: median_of(runs) for key, runs in seen.items()}


def each(names: tuple[str, ...], sessions: int, rounds: int, **options: Any) -> dict[str, Any]:
    """`rounds_of` for the same number of sessions with each."""
    found = rounds_of(dict.fromkeys(names, (sessions,)), rounds, **options)
    return {name: figures for (name, _), figures in found.items()}


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians, with faults summed."""
    figures = {name: statistics.median(run[name] for run in runs) for name in FIGURES}
    faults = {name: sum(run[name] for run in runs) for name in ("lost", "reordered", "corrupt", "dead")}
    return {**figures, **faults, "rounds": len(runs)}


def unpaced(rounds: int) -> dict[str, Any]:
    """20 sessions with two frames under way each: a busy process, where the cost per frame decides."""
    return each((*ALL, "aiohttp-deflate"), 20, rounds, **UNPACED)


def unpaced_of(known: dict[str, Relay], rounds: int) -> dict[str, Any]:
    """The same of other relays."""
    return each(tuple(known), 20, rounds, known=known, **UNPACED)


def paced(rounds: int) -> dict[str, Any]:
    """30 sessions at 25 frames a second: lightly loaded, so each frame pays for its own wake-ups."""
    return each((*OURS, "floor", "node-ws"), 30, rounds, seconds=3)


def crowd(rounds: int) -> dict[str, Any]:
    """Added latency with many sessions in one process."""
    sizes = {
        "product-uvicorn": (50, 150, 300),
        "product-daphne": (50, 150),
        "tutorial-daphne": (50,),
        "floor": (300,),
    }
    # Hundreds of sessions that have just begun have much to be stored: it is over before anything is measured.
    found = rounds_of(sizes, rounds, seconds=2, open_per_second=100, warm=2)
    return {f"{name} {count}": figures for (name, count), figures in found.items()}


def slow(rounds: int) -> dict[str, Any]:
    """20 sessions while somebody's query takes 250 ms once a second on Django's database thread."""
    return each(OURS, 20, rounds, seconds=3, environment={"SLOW_QUERY": "1"})


def memory(_rounds: int) -> dict[str, Any]:
    """KiB of resident memory that each open session adds, from 50 to 450 that say nothing; TLS is the upstream's."""
    found = {}
    known = relays()
    with tls_upstream() as through_tls:
        for name in (*OURS, "floor", *(f"{one}, TLS" for one in OURS)):
            bare, comma, _ = name.partition(",")
            kib = idle_kib(known[bare], through_tls if comma else {})
            found[name] = {"kib_per_session": round(kib, 1)}
            print(f"  {name}: {kib:.1f} KiB", flush=True)
    return found


def idle_kib(relay: Relay, environment: dict[str, str]) -> float:
    """What each of 400 sessions adds to a process that has 50 already."""
    with started(relay, **environment) as pid, idle(relay, FEW):
        before = resident_kib(pid)
        with idle(relay, MANY):
            return (resident_kib(pid) - before) / MANY


@contextlib.contextmanager
def idle(relay: Relay, count: int) -> Iterator[None]:
    """So many sessions that say nothing, for the length of the block. Raises RuntimeError."""
    command = load_command(relay, count, idle=1, open_per_second=100)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline().strip() != "READY":
            raise RuntimeError(f"{relay.name} does not hold {count} sessions")
        # The sessions come to rest: what is measured is what they hold when nothing moves.
        time.sleep(1)
        yield


def syscalls(_rounds: int) -> dict[str, Any]:
    """System calls per frame pair, counted by strace: exact, whatever else the machine does."""
    found: dict[str, Any] = {}
    if shutil.which("strace") is None:
        print("  strace is not installed: left out")
        return found
    known = relays()
    for name in ALL:
        if name in known:
            found[name] = count_syscalls(known[name])
            print(f"  {name}: {found[name]['per_pair']:.1f}")
    return found


def count_syscalls(relay: Relay, sessions: int = 10) -> dict[str, Any]:
    """Calls per pair under a paced load, in all and by name: what a long run has more than a short one.

    So opening and closing do not count, and neither does what goes on anyway in the time of the short run.
    """
    with started(relay) as pid:
        (few, few_pairs), (many, many_pairs) = (
            traced(relay, pid, sessions, length) for length in (SHORT_S, LONG_S)
        )
    pairs = many_pairs - few_pairs
    more = {name: (many[name] - few.get(name, 0)) / pairs for name in many}
    most = sorted(more.items(), key=lambda pair: -pair[1])[:6]
    return {
        "per_pair": sum(more.values()),
        "futex_per_pair": more.get("futex", 0.0),
        "synced_per_session_s": more_of(many, few, "fdatasync") / sessions / (LONG_S - SHORT_S),
        "most": {name: round(count, 2) for name, count in most},
    }


def more_of(many: dict[str, int], few: dict[str, int], name: str) -> int:
    """So much more often it was called in the long run."""
    return many.get(name, 0) - few.get(name, 0)


def traced(relay: Relay, pid: int, sessions: int, length: int) -> tuple[dict[str, int], int]:
    """The system calls of a load of so many seconds, by name, and its pairs."""
    file = WORK / "strace"
    command = load_command(relay, sessions, warm=0.1, seconds=length)
    with subprocess.Popen(
        ["strace", "-f", "-c", "-o", file, "-p", str(pid)], stderr=subprocess.PIPE, text=True
    ) as trace:
        assert trace.stderr
        trace.stderr.readline()  # it is attached
        # strace says that it begins to attach, not when it has attached to every thread.
        time.sleep(0.5)
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        trace.terminate()
        trace.stderr.read()
    counts: dict[str, int] = {}
    for line in file.read_text().splitlines():
        row = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if row and row[2] != "total":
            counts[row[2]] = int(row[1])
    return counts, json.loads(answer.splitlines()[-1])["all_pairs"]


TABLES = {
    "unpaced": unpaced,
    "paced": paced,
    "crowd": crowd,
    "slow": slow,
    "memory": memory,
    "syscalls": syscalls,
}


# Where no ratio is quoted, fewer rounds do.
MOST_ROUNDS = {"crowd": 2, "slow": 2, "memory": 1, "syscalls": 1}


def machine() -> dict[str, Any]:
    """The shape of the machine, and how busy it was with other things: nothing that names it."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "cpu": cpu,
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
        "fast": {name: find_spec(name) is not None for name in ("picows", "pybase64", "uvloop")},
    }


def main() -> None:
    """Run what was asked for, and keep it with what earlier runs found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(TABLES))
    options = parser.parse_args()
    build()
    install_peers()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with upstream():
        for name in options.only.split(","):
            print(name, flush=True)
            before = machine()
            rounds = min(options.rounds, MOST_ROUNDS.get(name, options.rounds))
            began_s = time.monotonic()
            kept[name] = {
                "machine": before,
                "rounds": rounds,
                "figures": TABLES[name](rounds),
            }
            RESULTS.write_text(json.dumps(kept, indent=1))
            print(f"  {time.monotonic() - began_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
