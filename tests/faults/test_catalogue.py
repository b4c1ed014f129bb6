"""The table of `docs/reliability.md`: one row for each fault, in order, and each test that it names is one of ours."""

from __future__ import annotations

import re
from pathlib import Path

from realtime.serve import WEB_SERVERS
from tests.faults.servers import SERVERS

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| (F\d+) \| (.+) \| (.+) \| (.+) \| (.+) \|$",
    (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
NO_SERVER = {"F32"}  # shown by the settings alone
SHOWN_HERE = {f"F{number}" for number in (*range(1, 23), 26, 27, 30, *range(31, 39), 41)}


def names_in(folder: Path) -> set[str]:
    return {
        name
        for path in folder.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def names_of(cell: str) -> list[str]:
    """The tests that a row names; the first is the one of this suite."""
    return re.findall(r"`(test_\w+)`", cell)


def test_the_catalogue_has_a_row_for_each_fault_in_order() -> None:
    assert [row[0] for row in ROWS] == [f"F{number}" for number in range(1, 42)]


def test_each_row_is_shown_on_each_server_of_the_site() -> None:
    assert set(SERVERS) == set(WEB_SERVERS)
    on_all = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        code = path.read_text(encoding="utf-8")
        on_all |= set(re.findall(r"^async def (test_\w+)\(\s*stage: StageMaker", code, re.MULTILINE))
    for fault, _name, _happens, _bound, named in ROWS:
        if fault in SHOWN_HERE - NO_SERVER:
            assert names_of(named)[0] in on_all, fault


def test_a_row_names_a_test_or_says_that_there_is_none() -> None:
    here, anywhere = names_in(Path(__file__).parent), names_in(ROOT / "tests")
    for fault, _name, _happens, _bound, named in ROWS:
        names = names_of(named)
        assert names or named == "-", fault
        assert set(names) <= anywhere, fault
        if fault in SHOWN_HERE:
            assert names[0] in here, fault
