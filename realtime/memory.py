"""Whether this process has memory left for one more session: what it holds, of what it may hold. Yes without a /proc.

What it may hold is a setting, or four fifths of the least that its control group (a container, a systemd unit),
`ulimit -v` and the machine grant. Past it no session begins, so that those that are live can go on.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

MIB = 2**20
USED_AT_MOST = 0.8
GROUPS = Path("/sys/fs/cgroup")
# The two generations of control groups: the controller's name and folder, and the file of its limit.
GENERATIONS = (("", "memory.max"), ("memory", "memory.limit_in_bytes"))
_trim: Callable[[int], int] | None
try:
    _trim = ctypes.CDLL(None).malloc_trim
except (OSError, AttributeError, TypeError):  # another C library than glibc
    _trim = None


def share_used(process: Path = Path("/proc/self"), groups: Path = GROUPS) -> float:
    """What the process holds of what it may hold: from 1 on no session begins. 0 where nobody can tell."""
    try:
        pages = [int(number) for number in (process / "statm").read_text().split()]
    except OSError:
        return 0.0
    import resource  # not on every system, but where there is a statm

    page_bytes = os.sysconf("SC_PAGE_SIZE")
    address_space_bytes, resident_bytes = pages[0] * page_bytes, pages[1] * page_bytes
    if settings.REALTIME_MAX_MEMORY_MIB:
        return resident_bytes / (settings.REALTIME_MAX_MEMORY_MIB * MIB)
    most_bytes = [os.sysconf("SC_PHYS_PAGES") * page_bytes, *_limit_of_group(process, groups)]
    shares = [resident_bytes / min(most_bytes)]
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit_bytes != resource.RLIM_INFINITY:
        shares.append(address_space_bytes / limit_bytes)
    return max(shares) / USED_AT_MOST


def give_back() -> None:
    """Have the C library return what was freed to the system, where it can: kept, it would count as used."""
    if _trim is not None:
        _trim(0)


def _limit_of_group(process: Path, groups: Path) -> list[int]:
    """The limit of the process's control group in bytes; nothing without one."""
    try:
        lines = [line.split(":", 2) for line in (process / "cgroup").read_text().splitlines()]
        for folder, limit in GENERATIONS:
            for own in (path for _, names, path in lines if folder in names.split(",")):
                # A container sees its own group as the root, whatever its path is outside.
                for where in (groups / folder / own.strip("/"), groups / folder):
                    if (where / limit).exists() and (most := (where / limit).read_text().strip()) != "max":
                        return [int(most)]
    except (OSError, ValueError):
        pass
    return []
