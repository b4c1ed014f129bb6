"""A disk that is full: F30. Talks go on while memory lasts, and nothing is called saved that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from conversations.models import Message
from tests.faults.conftest import SCRIPT, StageMaker
from tests.faults.stage import Stage, ask
from tests.realtime.page import Page, eventually

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="SQLite tells of a full disk by a limit"
)


class Disk:
    """The database's file takes no further page, and the spill folder no file, until there is room again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
        self._monkeypatch, self._nowhere = monkeypatch, nowhere

    async def full(self, s: Stage) -> None:
        """From now on: SQLite says that the disk is full, and means it."""
        self._nowhere.write_text("a file, where a folder should be made")
        self._monkeypatch.setattr(s.switchboard.journal, "spill_dir", self._nowhere / "spill")
        await asyncio.get_running_loop().run_in_executor(
            s.switchboard.journal._thread, _use_no_more_than_needed
        )
        await self._limit(s, "PRAGMA max_page_count = 1")  # no page more than there are

    async def has_room(self, s: Stage) -> None:
        """Somebody made room."""
        self._nowhere.unlink()
        await self._limit(s, "PRAGMA max_page_count = 1000000")

    async def _limit(self, s: Stage, pragma: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(s.switchboard.journal._thread, _set_for_good, pragma)


def _use_no_more_than_needed() -> None:
    """Pages that earlier tests left free would be room."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")


def _set_for_good(pragma: str) -> None:
    """On this thread's connection, also when it is opened anew."""
    options = connection.settings_dict["OPTIONS"]
    before = options["init_command"].split(";PRAGMA max_page_count")[0].rstrip(";")
    options["init_command"] = f"{before};{pragma};"
    connection.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Disk]:
    before = connection.settings_dict["OPTIONS"]["init_command"]
    yield Disk(monkeypatch, tmp_path / "nowhere")
    connection.settings_dict["OPTIONS"]["init_command"] = before
    connection.close()


async def texts_of(page: Page) -> list[str]:
    rows = Message.objects.filter(session_id=page.minted["session_id"]).in_order()
    return [message.text async for message in rows]


async def test_a_full_disk_delays_what_is_saved_and_nothing_else(
    stage: StageMaker, ada: Any, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    told = "Once upon a time. " * 1_000
    async with stage([{**SCRIPT[0], "hears": told}]) as s:
        page = await s.talking(ada)
        await s.switchboard.journal.flush(5)
        await disk.full(s)
        done, _speech = await ask(page)
        (question,) = [said["item_id"] for said in page.of("transcript.done") if said["role"] == "user"]
        await eventually(lambda: "the database refused" in caplog.text)
        await s.checker.canary_answers()
        assert told not in await texts_of(page)
        # The answer is short: where it is transcribed first, it may still have found room. Then it is there.
        saved = {said["item_id"] for said in page.of("message.saved") if said["status"] != "pending"}
        assert question not in saved
        rows = Message.objects.filter(session_id=page.minted["session_id"]).exclude(status="pending")
        assert saved <= {message.item_id async for message in rows}
        await disk.has_room(s)
        for item_id in (question, done["item_id"]):
            await page.once("message.saved", 0, item_id=item_id, status="completed")
        assert await texts_of(page) == [told.strip(), SCRIPT[0]["says"]]
