"""The journal at its edges: a start without records, a record that cannot be stored, an end within a batch."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError

from realtime import journal as journal_module
from realtime.effects import RecordMessage
from realtime.journal import Entry, Journal

pytestmark = pytest.mark.django_db(transaction=True)
SESSION, CONVERSATION = uuid4(), uuid4()


def words(text: str) -> Entry:
    return Entry(SESSION, CONVERSATION, RecordMessage(text, 1, "user", "voice", "completed", text))


def text_of(entry: Entry) -> str:
    assert isinstance(entry.record, RecordMessage)
    return entry.record.text


class Store:
    """A database in which `bad` records fail, which refuses `refuses` times, and which `gate` can hold up."""

    def __init__(self, *, bad: tuple[str, ...] = (), refuses: int = 0) -> None:
        self.bad, self.refuses = bad, refuses
        self.texts: list[str] = []
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def write(self, entries: list[Entry]) -> list[str | None]:
        self.entered.set()
        self.gate.wait(20)
        if self.refuses:
            self.refuses -= 1
            raise OperationalError("locked")
        if any(text_of(entry) in self.bad for entry in entries):
            raise DataError("not storable")
        self.texts += [text_of(entry) for entry in entries]
        return [None for _ in entries]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PAUSE_S", 0)
    monkeypatch.setattr(journal_module, "RETRY_S", (0,))


def files(folder: Path) -> list[Path]:
    """What lies in the spill folder."""
    return sorted(folder.iterdir())


async def spill(folder: Path, *texts: str) -> None:
    """Leave a spill file as an earlier process does."""
    earlier = Journal(Store(refuses=10_000).write, folder)
    for text in texts:
        earlier.put(words(text))
    await earlier.close(timeout_s=0.1)


async def test_what_was_spilled_is_stored_at_the_start_without_a_new_record(tmp_path: Path) -> None:
    await spill(tmp_path, "one", "two")
    store = Store()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    assert store.texts == ["one", "two"]
    assert not files(tmp_path)
    await journal.close()


async def test_a_start_while_the_database_refuses_keeps_the_file_for_when_it_is_back(tmp_path: Path) -> None:
    await spill(tmp_path, "old")
    store = Store(refuses=1)
    journal = Journal(store.write, tmp_path)
    await journal.start()
    assert store.texts == []
    journal.put(words("new"))
    assert await journal.flush(5)
    assert store.texts == ["old", "new"]
    assert not files(tmp_path)
    await journal.close()


async def test_a_file_that_a_living_process_holds_is_left_to_it(tmp_path: Path) -> None:
    await spill(tmp_path, "theirs")
    (path,) = files(tmp_path)
    store = Store()
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        journal = Journal(store.write, tmp_path)
        await journal.start()
        assert store.texts == []
        assert path.exists()
    await journal.close()


async def test_one_record_that_cannot_be_stored_does_not_hold_up_the_others(tmp_path: Path) -> None:
    store = Store(bad=("poison",))
    journal = Journal(store.write, tmp_path)
    for text in ("a", "b", "poison", "c", "d"):
        journal.put(words(text))
    assert await journal.flush(5)
    assert store.texts == ["a", "b", "c", "d"]
    (aside,) = files(tmp_path)
    assert aside.suffix == ".refused"
    assert "poison" in aside.read_text()
    await journal.close()


async def test_a_batch_that_is_under_way_at_the_end_is_spilled_too(tmp_path: Path) -> None:
    store = Store()
    store.gate.clear()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    journal.put(words("in the thread"))
    while not store.entered.is_set():
        assert not await journal.flush(0.01)
    journal.put(words("waiting"))
    await journal.close(timeout_s=0.05)
    store.gate.set()
    (path,) = files(tmp_path)
    assert [text_of(Entry.from_line(line)) for line in path.read_text().splitlines()] == [
        "in the thread",
        "waiting",
    ]


async def test_what_comes_after_the_end_is_not_lost_either(tmp_path: Path) -> None:
    journal = Journal(Store().write, tmp_path)
    await journal.start()
    await journal.close()
    journal.put(words("late"))
    (path,) = files(tmp_path)
    assert "late" in path.read_text()
