"""Nothing final is lost: commit then tell, wait while the database refuses, spill what cannot wait, replay it once."""

from __future__ import annotations

import asyncio
import fcntl
import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from realtime import journal as journal_module
from realtime.effects import RecordEnd, RecordEvent, RecordMessage
from realtime.journal import Entry, Journal
from tests.realtime.page import eventually

pytestmark = pytest.mark.django_db(transaction=True)
SESSION, CONVERSATION = uuid4(), uuid4()


def files(folder: Path) -> list[str]:
    """The texts of all spill files."""
    return [path.read_text() for path in folder.iterdir()]


def paths(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def spill(folder: Path, text: str) -> None:
    """What an earlier process left behind."""
    (folder / "1-x.jsonl").write_text(text)


class Store:
    """A database that can refuse."""

    def __init__(self) -> None:
        self.written: list[Entry] = []
        self.batches = 0
        self.refuses = 0

    def write(self, entries: list[Entry]) -> list[str | None]:
        if self.refuses > 0:
            self.refuses -= 1
            raise OperationalError("locked")
        self.batches += 1
        self.written += entries
        return [
            f"id of {entry.record.item_id}" if isinstance(entry.record, RecordMessage) else None
            for entry in entries
        ]

    @property
    def texts(self) -> list[str]:
        return [entry.record.text for entry in self.written if isinstance(entry.record, RecordMessage)]


def words(text: str, item_id: str = "i", status: str = "completed") -> RecordMessage:
    return RecordMessage(item_id, 1, "user", "voice", status, text)


def entry(record: Any, on_saved: Any = None) -> Entry:
    return Entry(SESSION, CONVERSATION, record, on_saved)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PAUSE_S", 0)
    monkeypatch.setattr(journal_module, "RETRY_S", (0,))


async def test_a_message_is_called_saved_after_it_is_stored(tmp_path: Path) -> None:
    store, said = Store(), []
    journal = Journal(store.write, tmp_path)
    journal.put(entry(words("hello"), lambda *told: said.append((*told, store.texts[:]))))
    assert await journal.flush(5)
    assert said == [("i", "id of i", "completed", ["hello"])]
    await journal.close()


async def test_a_database_that_refuses_is_waited_for_in_order(tmp_path: Path) -> None:
    store = Store()
    store.refuses = 5
    journal = Journal(store.write, tmp_path)
    for number in range(10):
        journal.put(entry(words(str(number), f"i{number}")))
    assert await journal.flush(5)
    assert store.texts == [str(number) for number in range(10)]
    await journal.close()
    assert files(tmp_path) == []


async def test_what_comes_together_is_stored_together(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(store.write, tmp_path)
    for number in range(50):
        journal.put(entry(RecordEvent(number, "e")))
    assert await journal.flush(5)
    assert store.batches <= 2
    await journal.close()


def test_a_busy_journal_leaves_most_of_the_time_to_the_talks_but_not_while_a_backlog_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_module, "PAUSE_S", 0.1)
    assert journal_module.rest_s(0.001, 0) == journal_module.PAUSE_S
    for took_s in (0.02, 0.05, 0.1):
        assert took_s / (took_s + journal_module.rest_s(took_s, 10)) <= 0.1 + 1e-9
    assert journal_module.rest_s(5.0, 10) == journal_module.MAX_PAUSE_S
    assert journal_module.rest_s(0.1, journal_module.BATCH) == journal_module.PAUSE_S


async def test_an_end_does_not_wait_for_the_rest_of_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "PAUSE_S", 3_600)
    store = Store()
    journal = Journal(store.write, tmp_path)
    journal.put(entry(words("before")))
    assert await journal.flush(5)
    journal.put(entry(words("in the pause", "j")))
    await journal.close(10)
    assert store.texts == ["before", "in the pause"]
    assert files(tmp_path) == []


async def test_a_later_checkpoint_replaces_the_waiting_one_but_never_a_final_text(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(store.write, tmp_path)
    for text in ("o", "on", "onc"):
        journal.put(entry(words(text, status="pending")))
    journal.put(entry(words("once", status="completed")))
    journal.put(entry(words("once upon", status="interrupted")))
    assert await journal.flush(5)
    assert store.texts == ["onc", "once", "once upon"]
    await journal.close()


async def test_what_cannot_be_stored_before_the_end_is_replayed_by_the_next_process(tmp_path: Path) -> None:
    store = Store()
    store.refuses = 10_000
    journal = Journal(store.write, tmp_path)
    records = [words("last words"), RecordEvent(7, "e", {"n": 1}), RecordEnd("draining", {"turns": 2})]
    for record in records:
        journal.put(entry(record))
    await journal.close(timeout_s=0.2)
    assert store.written == []

    after = Store()
    next_journal = Journal(after.write, tmp_path)
    next_journal.put(entry(words("new")))
    assert await next_journal.flush(5)
    assert [e.record for e in after.written] == [*records, words("new")]
    assert {e.session_id for e in after.written} == {SESSION}
    assert {e.conversation_id for e in after.written} == {CONVERSATION}
    await next_journal.close()
    assert files(tmp_path) == []


async def test_more_than_the_bound_goes_to_the_spill_file_and_not_into_memory(tmp_path: Path) -> None:
    store = Store()
    store.refuses = 10_000
    journal = Journal(store.write, tmp_path)
    for number in range(journal_module.MAX_WAITING * 2):
        journal.put(entry(RecordEvent(number, "e")))
    assert len(journal._waiting) <= journal_module.MAX_WAITING
    assert journal.spilled >= journal_module.MAX_WAITING
    await journal.close(timeout_s=0.2)
    assert sum(len(text.splitlines()) for text in files(tmp_path)) == journal_module.MAX_WAITING * 2


async def test_what_was_spilled_is_stored_before_what_came_later(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    store.refuses = 10_000
    journal.put(entry(words("once", "i", "completed")))
    for number in range(journal_module.MAX_WAITING):
        journal.put(entry(RecordEvent(number, "e")))
    assert journal.spilled
    journal.put(entry(words("once", "i", "interrupted")))
    store.refuses = 0
    assert await journal.flush(5)
    kept = [e.record.status for e in store.written if isinstance(e.record, RecordMessage)]
    assert kept == ["completed", "interrupted"]
    await journal.close()


class Session:
    """Who is to be told."""

    def __init__(self) -> None:
        self.saved: list[tuple[str, str, str]] = []

    def told(self, *what: str) -> None:
        self.saved.append(what)  # type: ignore[arg-type]


async def test_what_was_spilled_is_called_saved_once_it_is_and_keeps_no_session_in_memory(
    tmp_path: Path,
) -> None:
    store, here, gone = Store(), Session(), Session()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    store.refuses = 10_000
    journal.put(entry(words("hello"), here.told))
    journal.put(entry(words("bye", "j"), gone.told))
    journal.put(entry(RecordEvent(0, "e"), here.told))
    for number in range(journal_module.MAX_WAITING):
        journal.put(entry(RecordEvent(number, "e")))
    assert journal.spilled
    is_gone = weakref.ref(gone)
    del gone
    assert is_gone() is None
    assert here.saved == []
    store.refuses = 0
    assert await journal.flush(5)
    assert here.saved == [("i", "id of i", "completed")]
    await journal.close()


async def test_what_another_process_is_storing_of_ours_goes_first(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    store.refuses = 10_000
    for number in range(journal_module.MAX_WAITING + 1):
        journal.put(entry(RecordEvent(number, "e")))
    (spilled,) = paths(tmp_path)
    with spilled.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        store.refuses = 0
        assert await journal.flush(0.1) is False
        assert store.written == []
        spilled.unlink()  # stored, as far as they are concerned
    assert await journal.flush(5)
    assert len(store.written) == journal_module.MAX_WAITING + 1 - journal_module.MAX_WAITING // 2
    await journal.close()


async def test_at_the_end_too_what_was_spilled_goes_first_or_all_of_it_waits_for_the_next_start(
    tmp_path: Path,
) -> None:
    store = Store()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    store.refuses = 10_000
    for number in range(journal_module.MAX_WAITING + 1):
        journal.put(entry(RecordEvent(number, "e")))
    assert journal.spilled
    journal.put(entry(words("last")))

    def refuse_the_spilled(entries: list[Entry]) -> list[str | None]:
        if entries[0].record == RecordEvent(0, "e"):
            raise OperationalError("not yet")  # and right after it the database is back
        return store.write(entries)

    store.refuses = 0
    journal.write = refuse_the_spilled
    await journal.close()
    assert store.texts == []
    after = Store()
    next_journal = Journal(after.write, tmp_path)
    await next_journal.start()
    assert after.texts == ["last"]
    assert [e.record.at_ms for e in after.written if isinstance(e.record, RecordEvent)] == list(
        range(journal_module.MAX_WAITING + 1)
    )
    await next_journal.close()


async def test_what_the_database_gave_back_goes_before_what_was_spilled_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING", 8)
    store, loop = Store(), asyncio.get_running_loop()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    journal.put(entry(RecordEvent(0, "e")))

    def refuse_once_and_get_more(_entries: list[Entry]) -> list[str | None]:
        for number in range(1, 12):
            loop.call_soon_threadsafe(journal.put, entry(RecordEvent(number, "e")))
        journal.write = store.write
        raise OperationalError

    journal.write = refuse_once_and_get_more
    await eventually(lambda: len(store.written) == 12)
    assert [e.record.at_ms for e in store.written] == list(range(12))  # type: ignore[union-attr]
    assert journal.spilled == 5  # four that were too many, and the one that was under way
    await journal.close()


async def test_the_bound_holds_for_what_the_database_gave_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING", 8)
    monkeypatch.setattr(journal_module, "BATCH", 100_000)
    store, loop = Store(), asyncio.get_running_loop()
    journal = Journal(store.write, tmp_path)
    await journal.start()
    for number in range(journal_module.MAX_WAITING):
        journal.put(entry(RecordEvent(number, "e")))

    def refuse_and_get_more(_entries: list[Entry]) -> list[str | None]:
        loop.call_soon_threadsafe(journal.put, entry(RecordEvent(0, "meanwhile")))
        raise OperationalError

    journal.write = refuse_and_get_more
    await eventually(lambda: journal.spilled)
    journal.write = store.write
    assert await journal.flush(5)
    await journal.close()


async def test_a_line_cut_short_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    whole = entry(words("kept")).to_line()
    spill(tmp_path, whole + "\n" + whole[: len(whole) // 2])
    store = Store()
    journal = Journal(store.write, tmp_path)
    journal.put(entry(words("new")))
    assert await journal.flush(5)
    assert store.texts == ["kept", "new"]
    await journal.close()


def test_a_spilled_line_names_only_what_a_record_says_beyond_the_defaults() -> None:
    """In the middle of a deployment the version before may read it, which lacks a field."""
    plain, doubtful = words("yes"), replace(words("yes"), unsure=True)
    assert "unsure" not in json.loads(entry(plain).to_line())["record"]
    assert json.loads(entry(doubtful).to_line())["record"]["unsure"] is True
    assert [Entry.from_line(entry(one).to_line()).record for one in (plain, doubtful)] == [plain, doubtful]


async def test_one_spilled_record_that_cannot_be_stored_is_put_aside_alone(tmp_path: Path) -> None:
    spill(tmp_path, "".join(entry(words(text, text)).to_line() + "\n" for text in ("a", "poison", "b")))
    store = Store()

    def write(entries: list[Entry]) -> list[str | None]:
        if "poison" in [e.record.text for e in entries]:  # type: ignore[union-attr]
            raise ValueError("not storable")
        return store.write(entries)

    journal = Journal(write, tmp_path)
    await journal.start()
    assert store.texts == ["a", "b"]
    (aside,) = paths(tmp_path)
    assert aside.suffix == ".refused"
    assert [Entry.from_line(line).record for line in files(tmp_path)[0].splitlines()] == [
        words("poison", "poison")
    ]
    await journal.close()


async def test_a_flush_that_takes_too_long_says_so(tmp_path: Path) -> None:
    store = Store()
    store.refuses = 10_000
    journal = Journal(store.write, tmp_path)
    journal.put(entry(words("x")))
    assert await journal.flush(0.05) is False
    await journal.close(timeout_s=0.1)
    await asyncio.sleep(0)


async def test_a_session_that_cannot_be_told_stops_nobody_elses_records(tmp_path: Path) -> None:
    store = Store()
    journal = Journal(store.write, tmp_path)

    def break_down(*_told: str) -> None:
        raise RuntimeError

    journal.put(entry(words("one"), break_down))
    assert await journal.flush(5)
    journal.put(entry(words("two")))
    assert await journal.flush(5)
    assert store.texts == ["one", "two"]
    await journal.close()
