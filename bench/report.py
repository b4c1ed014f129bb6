"""Puts what `compare.py` measured into the tables of docs/performance.md, between the marks that name them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from rig import ROOT, WORK

PAGE = ROOT / "docs" / "performance.md"
BASE, FLOOR = "tutorial-daphne", "floor"


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table."""
    lines = [list(map(str, head)), ["---"] * len(list(head)), *(list(map(str, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ratio(figures: dict[str, Any], name: str, to: str, key: str) -> str:
    """One relay's figure as a multiple of another's."""
    if to not in figures or name not in figures or not figures[to][key]:
        return "-"
    return f"{figures[name][key] / figures[to][key]:.2f}"


def cpu(figures: dict[str, Any], base: str = BASE, called: str = "of the tutorial") -> str:
    """CPU per frame pair, and as ratios."""
    rows = [
        [
            name,
            f"{one['us_per_pair']:.0f}",
            ratio(figures, name, base, "us_per_pair"),
            ratio(figures, name, FLOOR, "us_per_pair"),
            f"{one['percent_per_session']:.2f} %",
            one["lost"] + one["reordered"] + one["corrupt"],
        ]
        for name, one in sorted(figures.items(), key=lambda pair: pair[1]["us_per_pair"])
    ]
    return table(["relay", "µs a pair", called, "of the floor", "of a core, a session", "faulty"], rows)


def latency(figures: dict[str, Any]) -> str:
    """What a relay adds to the way there and back."""
    rows = [
        [
            name,
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.1f}",
            f"{one['max_ms']:.0f}",
            one["lost"] + one["reordered"] + one["corrupt"],
        ]
        for name, one in figures.items()
    ]
    return table(["relay", "p50 ms", "p99 ms", "longest ms", "faulty"], rows)


def memory(figures: dict[str, Any]) -> str:
    """Memory of an idle session."""
    return table(
        ["relay", "KiB a session"], [[name, one["kib_per_session"]] for name, one in figures.items()]
    )


def syscalls(figures: dict[str, Any]) -> str:
    """System calls of a frame pair."""
    rows = [
        [
            name,
            f"{one['per_pair']:.1f}",
            f"{one['futex_per_pair']:.2f}",
            f"{one['synced_per_session_s']:.2f}",
            ", ".join(f"{call} {count}" for call, count in one["most"].items()),
        ]
        for name, one in figures.items()
    ]
    return table(
        ["relay", "calls a pair", "of them futex", "synced writes, a session and second", "most"], rows
    )


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "unpaced": cpu,
    "litellm": partial(cpu, base="litellm", called="of LiteLLM"),
    "paced": cpu,
    "crowd": latency,
    "slow": latency,
    "memory": memory,
    "syscalls": syscalls,
}


def stated(found: dict[str, Any]) -> str:
    """When and on what it was measured."""
    machine = found["machine"]
    fast = [name for name, there in machine["fast"].items() if there]
    rounds = f"{found['rounds']} round{'s' if found['rounds'] > 1 else ''}"
    return (
        f"*{machine['date']}, {machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, "
        f"{'with ' + ', '.join(fast) if fast else 'without the extra `fast`'}; {rounds}; "
        f"load average before: {machine['load_before']}.*"
    )


def main() -> None:
    """Replace each table for which there is a result."""
    results = json.loads((WORK / "results.json").read_text())
    text = PAGE.read_text(encoding="utf-8")
    for name, found in results.items():
        block = (
            f"<!-- bench: {name} -->\n\n{stated(found)}\n\n{TABLES[name](found['figures'])}\n\n<!-- end -->"
        )
        text = re.sub(rf"<!-- bench: {name} -->.*?<!-- end -->", lambda _, b=block: b, text, flags=re.DOTALL)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
