"""The product beside relays as others write them, in one interleaved run: CPU, latency, memory, a slow query, syscalls.

    python bench/compare.py [--rounds N] [--only TABLE,TABLE]

Tables: unpaced, paced, crowd, slow, memory, syscalls. What it measures goes to var/bench/results.json, and as tables to
the terminal; `python bench/report.py` puts them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from relays import install_peers, relays
from rig import WORK, Relay, build, load, load_command, resident_kib, started, upstream

RESULTS = WORK / "results.json"
ALL = ("floor", "product-uvicorn", "product-daphne", "tutorial-daphne", "websockets", "aiohttp", "node-ws")
OURS = ("product-uvicorn", "product-daphne", "tutorial-daphne")
SHORT_S, LONG_S = 1, 5  # the two runs whose difference counts
FIGURES = ("us_per_pair", "percent_per_session", "p50_ms", "p99_ms", "max_ms", "sessions", "pairs")


def rounds_of(names: tuple[str, ...], rounds: int, sessions: int, **options: Any) -> dict[str, Any]:
    """Each relay in turn, again and again; the median of each figure, and every fault that was seen."""
    environment = options.pop("environment", {})
    seen: dict[str, list[dict[str, Any]]] = {}
    known = relays()
    for number in range(rounds):
        for name in names:
            if name not in known:
                continue
            try:
                with started(known[name], **environment) as pid:
                    figures = load(known[name], pid, sessions, **options)
            except RuntimeError as error:  # a relay that cannot do it is a result too
                print(f"  {name}: {error}")
                continue
            seen.setdefault(name, []).append(figures)
            print(
                f"  round {number + 1} {name}: {figures['us_per_pair']:.0f} us, p99 {figures['p99_ms']:.2f} ms"
            )
    return {name: median_of(runs) for name, runs in seen.items()}


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians, with faults summed."""
    figures = {name: statistics.median(run[name] for run in runs) for name in FIGURES}
    faults = {name: sum(run[name] for run in runs) for name in ("lost", "reordered", "corrupt", "dead")}
    return {**figures, **faults, "rounds": len(runs)}


def unpaced(rounds: int) -> dict[str, Any]:
    """20 sessions with two frames under way each: a busy process, where the cost per frame decides."""
    names = (*ALL, "aiohttp-deflate")
    return rounds_of(names, rounds, 20, window=2, seconds=3, environment={"UNPACED": "1"})


def paced(rounds: int) -> dict[str, Any]:
    """30 sessions at 25 frames a second: lightly loaded, so each frame pays for its own wake-ups."""
    return rounds_of(ALL, rounds, 30, seconds=4)


def crowd(rounds: int) -> dict[str, Any]:
    """Added latency with many sessions in one process."""
    sizes = {
        "product-uvicorn": (50, 150, 300),
        "product-daphne": (50, 150),
        "tutorial-daphne": (50,),
        "floor": (50, 300),
    }
    found: dict[str, Any] = {}
    for name, counts in sizes.items():
        for count in counts:
            for key, figures in rounds_of((name,), rounds, count, seconds=4, open_per_second=100).items():
                found[f"{key} {count}"] = figures
    return found


def slow(rounds: int) -> dict[str, Any]:
    """20 sessions while somebody's query takes 250 ms once a second on Django's database thread."""
    return rounds_of(OURS, rounds, 20, seconds=4, environment={"SLOW_QUERY": "1"})


def memory(_rounds: int) -> dict[str, Any]:
    """KiB of resident memory that each open session adds, from 50 to 450 that say nothing; a new process for each."""
    found = {}
    known = relays()
    for name in (*OURS, "floor"):
        sizes = []
        for count in (50, 450):
            with started(known[name]) as pid:
                sizes.append(idle_kib(known[name], pid, count))
        found[name] = {"kib_per_session": round((sizes[1] - sizes[0]) / 400, 1)}
        print(f"  {name}: {found[name]['kib_per_session']} KiB")
    return found


def idle_kib(relay: Relay, pid: int, count: int) -> int:
    """Resident memory with so many sessions open."""
    command = load_command(relay, count, idle=1, open_per_second=100)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    if process.stdout.readline().strip() != "READY":
        raise RuntimeError(f"{relay.name} does not hold {count} sessions")
    # The sessions come to rest: what is measured is what they hold when nothing moves.
    time.sleep(1)
    size = resident_kib(pid)
    process.stdin.close()
    process.wait()
    return size


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
            kept[name] = {
                "machine": before,
                "rounds": options.rounds,
                "figures": TABLES[name](options.rounds),
            }
            RESULTS.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
