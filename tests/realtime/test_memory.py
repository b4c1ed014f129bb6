"""What a process holds of what it may hold, in control groups of both generations, and what follows."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from realtime import admission, memory
from realtime.exceptions import Refused
from realtime.memory import MIB, USED_AT_MOST, share_used

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ADDRESS = "/api/voice/realtime-session"


@pytest.fixture
def her(ada: Any) -> APIClient:
    """Ada's program, with a JWT."""
    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(ada)}")
    return program


@pytest.fixture
def process(tmp_path: Path) -> Path:
    """A process that holds 100 MiB, and is in no group."""
    (tmp_path / "statm").write_text(f"{400 * MIB // PAGE_BYTES} {100 * MIB // PAGE_BYTES} 1 1 0 1 0\n")
    (tmp_path / "cgroup").write_text("")
    return tmp_path


def group(folder: Path, limit_name: str, limit: str) -> None:
    folder.mkdir(parents=True)
    (folder / limit_name).write_text(limit + "\n")


def test_the_setting_counts_when_it_is_set(process: Path, settings: Any) -> None:
    settings.REALTIME_MAX_MEMORY_MIB = 200
    assert share_used(process) == 0.5
    settings.REALTIME_MAX_MEMORY_MIB = 100
    assert share_used(process) == 1


def test_without_it_four_fifths_of_the_machine_do(process: Path) -> None:
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    assert share_used(process, process / "none") == pytest.approx(100 * MIB / machine_bytes / USED_AT_MOST)


@pytest.mark.parametrize("inside", [False, True], ids=["seen from outside", "in its container"])
def test_the_group_counts_when_it_has_a_limit(process: Path, inside: bool) -> None:
    (process / "cgroup").write_text("0::/system.slice/voice.service\n")
    where = process / "groups" if inside else process / "groups" / "system.slice" / "voice.service"
    group(where, "memory.max", str(125 * MIB))
    assert share_used(process, process / "groups") == pytest.approx(1)


@pytest.mark.parametrize("inside", [False, True], ids=["seen from outside", "in its container"])
def test_so_does_a_group_of_the_first_generation(process: Path, inside: bool) -> None:
    (process / "cgroup").write_text("5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n")
    where = process / "groups" / "memory" if inside else process / "groups" / "memory" / "docker" / "1"
    group(where, "memory.limit_in_bytes", str(125 * MIB))
    assert share_used(process, process / "groups") == pytest.approx(1)


@pytest.mark.parametrize("limit", ["max", "nonsense"])
def test_a_group_without_a_limit_does_not_count(process: Path, limit: str) -> None:
    (process / "cgroup").write_text("0::/\n")
    without = share_used(process, process / "none")
    group(process / "groups", "memory.max", limit)
    assert share_used(process, process / "groups") == without


def test_the_address_space_counts_when_it_is_limited(process: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (500 * MIB, resource.RLIM_INFINITY))
    assert share_used(process, process / "none") == pytest.approx(1)


def test_where_nobody_can_tell_nobody_is_refused(tmp_path: Path) -> None:
    assert share_used(tmp_path / "none") == 0


def test_a_process_short_of_memory_begins_no_session_and_lets_those_go_on_that_are(
    her: APIClient, settings: Any
) -> None:
    minted = her.post(ADDRESS, {}, format="json").json()
    admission.redeem(token_text=minted["token"], origin="", worker="w")
    granted = her.post(ADDRESS, {}, format="json").json()
    settings.REALTIME_MAX_MEMORY_MIB = 1
    for modality in ("voice", "text"):
        refused = her.post(ADDRESS, {"modality": modality}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (503, "busy.memory")
        assert refused["Retry-After"] == "60"
    with pytest.raises(Refused, match=r"busy\.memory"):
        admission.redeem(token_text=granted["token"], origin="", worker="w")
    resumed = her.post(ADDRESS, {"resume_session_id": minted["session_id"]}, format="json").json()
    assert resumed["resumed"] is True
    assert admission.redeem(token_text=resumed["token"], origin="", worker="w").resumed
    settings.REALTIME_MAX_MEMORY_MIB = 0
    assert memory.share_used() < 1
    assert admission.redeem(token_text=granted["token"], origin="", worker="w")  # it was not spent


def test_what_was_freed_among_what_is_kept_goes_back_to_the_system() -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES

    speech, kept = [], []
    for number in range(6_000):
        speech.append(bytes(9_600))
        if number % 50 == 0:
            kept.append(bytes(2_000))  # so that what is freed is no one piece at the end of the heap
    most = resident_bytes()
    speech.clear()
    memory.give_back()
    assert kept
    assert most - resident_bytes() > 40 * MIB
