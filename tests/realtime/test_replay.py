"""A spill file that is replayed again, as after a crash between the commit and the file's removal, changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core import serializers
from django.db import OperationalError

from conversations.models import Conversation, Message
from realtime import journal as journal_module
from realtime import metrics, services
from realtime.effects import (
    RecordAudio,
    RecordEnd,
    RecordEvent,
    RecordMessage,
    RecordTurn,
    RecordUsage,
    Release,
)
from realtime.journal import RECORD_TYPES, Entry, Journal
from realtime.models import Hold, RealtimeSession, Recording, SessionEvent, Turn, UsageRecord

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PAUSE_S", 0)
    monkeypatch.setattr(journal_module, "RETRY_S", (0,))


def refuse(_entries: list[Entry]) -> list[str | None]:
    raise OperationalError("locked")


@pytest.fixture
def session(ada: User) -> RealtimeSession:
    return RealtimeSession.objects.create(
        id=uuid4(), user=ada, conversation=Conversation.objects.create(owner=ada), modality="voice"
    )


def everything_of(session: RealtimeSession) -> list[Entry]:
    """One record of each kind, and two events that do not differ but in time and place."""
    records: list[Any] = [
        RecordEvent(5, "browser.attached"),
        RecordMessage("i1", 1, "user", "voice", "completed", "What is the time?"),
        RecordEvent(9, "upstream.error", {"code": "weather"}),
        RecordEvent(9, "upstream.error", {"code": "weather"}),
        RecordTurn("r1", "i2", "completed", response_latency_ms=400),
        RecordUsage("response", "r1", text_in=5, text_out=7),
        RecordAudio(),
        Release("answer_2"),
        RecordEnd("person_ended", {"turns": 1}),
    ]
    assert {type(record).__name__ for record in records} == set(RECORD_TYPES)
    return [Entry(session.pk, session.conversation_id, record) for record in records]


def kept() -> str:
    """All rows that the journal writes."""
    tables = (RealtimeSession, SessionEvent, Turn, UsageRecord, Recording, Hold, Message)
    return "\n".join(serializers.serialize("json", table.objects.order_by("pk")) for table in tables)


async def leave_spilled(folder: Path, entries: list[Entry]) -> Path:
    earlier = Journal(refuse, folder)
    for entry in entries:
        earlier.put(entry)
    await earlier.close(timeout_s=0.1)
    return spilled(folder)[0]


def spilled(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def replay(folder: Path) -> None:
    journal = Journal(services.write_entries, folder)
    await journal.start()
    await journal.close()
    assert not spilled(folder)


async def test_a_spill_file_that_is_replayed_twice_is_stored_once(
    session: RealtimeSession, tmp_path: Path
) -> None:
    folder, again = tmp_path / "spill", tmp_path / "again"
    path = await leave_spilled(folder, everything_of(session))
    again.mkdir()
    shutil.copy(path, again)
    errors = metrics.upstream_errors_total.labels("other")._value.get()

    await replay(folder)
    first = await sync_to_async(kept)()
    assert await SessionEvent.objects.filter(session=session, name="upstream.error").acount() == 2
    await replay(again)
    assert await sync_to_async(kept)() == first
    assert metrics.upstream_errors_total.labels("other")._value.get() == errors + 2
    await session.arefresh_from_db()
    assert (session.errors, session.end_reason, session.turns) == (2, "person_ended", 1)
    assert await Message.objects.filter(session_id=session.pk).acount() == 1


async def test_a_batch_that_was_stored_and_spilled_as_well_is_stored_once(
    session: RealtimeSession, tmp_path: Path
) -> None:
    """An end within a batch spills what the thread is storing at that moment."""
    entries = everything_of(session)
    await leave_spilled(tmp_path, entries)
    await sync_to_async(services.write_entries)(entries)
    first = await sync_to_async(kept)()
    await replay(tmp_path)
    assert await sync_to_async(kept)() == first


async def test_a_file_of_an_earlier_version_is_stored_once_too(
    session: RealtimeSession, tmp_path: Path
) -> None:
    path = await leave_spilled(tmp_path, everything_of(session))
    text = path.read_text()
    for entry in [Entry.from_line(line) for line in text.splitlines()]:
        text = text.replace(f'"key": "{entry.key}", ', "")
    assert '"key"' not in text
    path.write_text(text)
    await replay(tmp_path)
    assert await SessionEvent.objects.filter(session=session).acount() == 2  # the twins differ in nothing
    path.write_text(text)
    await replay(tmp_path)
    assert await SessionEvent.objects.filter(session=session).acount() == 2
