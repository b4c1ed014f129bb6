"""A database that is locked or refuses: F27. Speech does not wait for it, and nothing is called saved before it is."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from conversations.models import Message
from tests.faults.conftest import SCRIPT, StageMaker
from tests.faults.stage import QUESTION, ask
from tests.realtime.page import eventually


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Another program holds the write lock."""
    other = sqlite3.connect(path, isolation_level=None, timeout=20)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite has one lock for all writers")
async def test_a_locked_database_delays_what_is_saved_and_nothing_else(stage: StageMaker, ada: Any) -> None:
    path = await sync_to_async(lambda: str(connection.settings_dict["NAME"]))()
    async with stage() as s:
        page = await s.talking(ada)
        await s.switchboard.journal.flush(5)
        with locked(path):
            done, _speech = await ask(page)  # heard, answered and played while nothing can be written
            await page.say("ping", t=1)
            await page.until("pong")
            assert not page.of("message.saved")
            await s.checker.canary_answers()
        async with asyncio.timeout(5):
            await page.until("message.saved", item_id=done["item_id"])
        assert not page.of("error")
        texts = await sync_to_async(
            lambda: list(
                Message.objects.filter(session_id=page.minted["session_id"])
                .in_order()
                .values_list("text", flat=True)
            )
        )()
        assert texts == [SCRIPT[0]["hears"], SCRIPT[0]["says"]]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite has one lock for all writers")
async def test_a_database_that_stays_locked_longer_than_its_timeout_loses_nothing(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = await sync_to_async(lambda: str(connection.settings_dict["NAME"]))()
    async with stage() as s:
        page = await s.talking(ada)
        await s.switchboard.journal.flush(5)
        impatient = connection.settings_dict["OPTIONS"]["init_command"].replace("20000", "100")
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "init_command", impatient)
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
        await asyncio.get_running_loop().run_in_executor(s.switchboard.journal._thread, connection_closed)
        with locked(path):
            await page.speak(QUESTION)
            await page.until("audio.end")
            before = caplog.text.count("the database refused")
            await eventually(lambda: caplog.text.count("the database refused") >= before + 2)  # tried again
            assert not page.of("message.saved")
        await page.until("message.saved")
        await s.switchboard.journal.flush(5)
        assert await Message.objects.filter(session_id=page.minted["session_id"]).acount() == 2


def connection_closed() -> None:
    """Close this thread's connection: the next one is opened with the options of now."""
    connection.close()
