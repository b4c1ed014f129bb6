"""Where tests keep pictures of what they saw: `test-results/pictures/<engine>/<name>.png`, an artefact of the run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
SMALLEST_BYTES = 2_000  # an empty picture is smaller


class Picture(Protocol):
    """`picture("muted")` keeps what the test's newest tab shows; `page` names another one."""

    def __call__(self, name: str, page: object = None) -> Path: ...


def keep(engine: str, name: str, shoot: Callable[[Path], object]) -> Path:
    """Let `shoot` write a PNG to where a picture of this name belongs. Names are words with hyphens."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), f"not a name for a picture: {name}"
    folder = ROOT / os.environ.get("SCREENSHOTS", f"test-results/pictures/{engine}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    shoot(path)
    assert path.stat().st_size > SMALLEST_BYTES, f"the picture {name} is empty"
    return path
