"""Neither the database nor the disk takes anything: calls end cleanly, none begins, and what memory held is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from conversations.models import Message
from realtime import journal as journal_module
from realtime.effects import RecordEvent
from realtime.journal import Entry, Journal
from realtime.models import RealtimeSession
from tests.realtime.page import eventually, silence, tone
from tests.realtime.test_journal import Store, entry, words
from tests.realtime.test_not_begun import end_of

SCRIPT = [{"hears": "Keep this.", "says": "I try to.", "audio_ms": 300}]


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A folder that cannot be made: a file is in its place."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "spill"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING", 8)
    monkeypatch.setattr(journal_module, "PAUSE_S", 0)
    monkeypatch.setattr(journal_module, "RETRY_S", (0.01,))


async def test_a_call_ends_and_none_begins_until_something_is_stored_again(
    make_site: Callable[..., Any], ada: Any, bob: Any, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await make_site(SCRIPT)
    journal: Journal = site.switchboard.journal
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        assert await journal.flush(5)
        write = journal.write

        def refuse(_entries: list[Entry]) -> list[str | None]:
            raise OperationalError("database or disk is full")

        with monkeypatch.context() as full:
            full.setattr(journal, "write", refuse)
            full.setattr(journal, "spill_dir", nowhere)
            page.plays = False  # a report on a closing socket waits for the end that is to be read behind it
            await page.speak(tone(400) + silence(900))
            assert await page.until_closed() == 4503
            assert page.of("ended")[0]["reason"] == "storage_stuck"
            assert not page.of("message.saved")
            await eventually(lambda: site.upstream.open_count == 0)
            other = await site.page(bob)
            await other.connect()
            assert (await other.until("error"))["code"] == "storage.stuck"
            assert await other.until_closed() == 4503
        assert journal.write == write
        assert await journal.flush(5)
    row = await RealtimeSession.objects.aget(pk=page.minted["session_id"])
    assert row.end_reason == "storage_stuck"
    assert await end_of(other.minted["session_id"]) == "storage_stuck"
    assert [m.text async for m in Message.objects.filter(session_id=row.pk)]
    async with await site.page(bob) as again:
        await again.until("state", state="listening")


@pytest.mark.django_db(transaction=True)
async def test_a_spill_that_fails_leaves_no_half_of_a_file_and_is_not_tried_for_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, tries = Store(), []
    store.refuses = 10_000

    def no_room(descriptor: int) -> None:
        tries.append(descriptor)
        raise OSError(28, "No space left on device")

    journal = Journal(store.write, tmp_path)
    with monkeypatch.context() as full:
        full.setattr(journal_module.os, "fsync", no_room)
        for number in range(journal_module.MAX_WAITING + journal_module.SPILL_AGAIN):
            journal.put(entry(RecordEvent(number, "e")))
        assert journal.stuck
        assert len(tries) == 1
        assert not names_in(tmp_path)
    journal.put(entry(RecordEvent(0, "e")))
    journal.put(entry(RecordEvent(0, "e")))
    assert not journal.stuck  # the disk has room
    store.refuses = 0
    assert await journal.flush(5)
    await journal.close()


@pytest.mark.django_db(transaction=True)
async def test_a_record_that_can_neither_be_stored_nor_put_aside_does_not_end_the_journal(
    nowhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored: list[str] = []

    def write(entries: list[Entry]) -> list[str | None]:
        texts = [item.record.text for item in entries]  # type: ignore[union-attr]
        if "poison" in texts:
            raise ValueError("not storable")
        stored.extend(texts)
        return [None for _ in entries]

    journal = Journal(write, nowhere)
    for text in ("a", "poison", "b"):
        journal.put(entry(words(text, text)))
    assert await journal.flush(5)
    assert stored == ["a", "b"]
    assert "lost" in caplog.text
    await journal.close()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
