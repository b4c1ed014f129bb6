"""Kept audio over HTTP: messages and lanes as WAV files with ranges; deleted with everything they belong to."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import AsyncClient, Client
from django.utils import timezone
from rest_framework.test import APIClient

from conversations import services as conversations
from conversations.models import AuditEntry, Message
from realtime import recordings
from realtime.api.recordings import asked_range
from realtime.effects import KeepAudio, KeepSpan
from realtime.models import RealtimeSession, Recording
from realtime.recording_file import chunks_of
from voiceproject import retention
from voiceproject.account import delete_person, export_person

SAID = (np.arange(48_000) % 30_000).astype("<i2").tobytes()
HEARD = (-(np.arange(24_000) % 30_000)).astype("<i2").tobytes()
pytestmark = pytest.mark.django_db(transaction=True)


def kept_for(user: User, folder: Path) -> Recording:
    """Two seconds that were said, of which the second is a question, and one that was heard."""
    conversation = conversations.create_conversation(owner=user, keep="audio")
    session = RealtimeSession.objects.create(
        id=uuid4(), user=user, conversation=conversation, modality="voice", engine="local", model="m"
    )
    for item, role in (("q", "user"), ("a", "assistant")):
        conversations.record_message(
            conversation_id=conversation.pk, session_id=session.pk, item_id=item, position=1, role=role,
            modality="voice", status="completed", text=item, audio_ms=1_000,
        )  # fmt: skip
    recordings.begin(session)
    recording = Recording.objects.get(pk=session.pk)
    file = folder / recording.file
    file.parent.mkdir(parents=True)
    pieces = [KeepAudio("said", "", 0, 0, SAID), KeepAudio("heard", "a", 0, 2_500, HEARD)]
    file.write_bytes(chunks_of([*pieces, KeepSpan("q", 24_000, 48_000)]))
    return recording


@pytest.fixture
def kept(ada: User, recordings_folder: Path) -> Recording:
    return kept_for(ada, recordings_folder)


def of_message(item: str) -> str:
    message = Message.objects.get(item_id=item)
    return f"/api/conversations/{message.conversation_id}/messages/{message.pk}/audio/"


@pytest.fixture
def fetch(ada: User) -> Callable[..., Any]:
    """`await fetch(url, **headers)` as Ada: status, headers, body."""
    browser = AsyncClient()
    browser.force_login(ada)

    async def get(url: str, **headers: str) -> tuple[int, Any, bytes]:
        answer = await browser.get(url, headers=headers)
        body = b"".join([part async for part in answer]) if answer.streaming else answer.content
        return answer.status_code, answer.headers, body

    return get


def samples_of(wav: bytes) -> bytes:
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes())


async def test_a_message_is_the_sound_of_it_and_nothing_else(kept: Recording, fetch: Any) -> None:
    for item, sound in (("q", SAID[48_000:]), ("a", HEARD)):
        url = await _sync(of_message, item)
        status, headers, body = await fetch(url)
        assert (status, headers["Content-Type"]) == (200, "audio/wav")
        assert samples_of(body) == sound
        assert int(headers["Content-Length"]) == len(body)
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Disposition"].startswith("inline; filename=")


async def test_ranges_are_the_same_bytes(kept: Recording, fetch: Any) -> None:
    url = await _sync(of_message, "q")
    _status, _headers, whole = await fetch(url)
    for asked, part in (
        ("bytes=0-", whole),
        ("bytes=0-9", whole[:10]),
        ("bytes=40-60", whole[40:61]),
        ("bytes=1001-4002", whole[1001:4003]),
        ("bytes=-7", whole[-7:]),
        (f"bytes=47000-{len(whole) + 99}", whole[47_000:]),
    ):
        status, headers, body = await fetch(url, range=asked)
        assert body == part, asked
        assert status == (200 if part == whole else 206)
        if status == 206:
            assert headers["Content-Range"].endswith(f"/{len(whole)}")
    status, headers, _body = await fetch(url, range=f"bytes={len(whole)}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(whole)}")


@pytest.mark.parametrize(
    "header",
    ["", "bytes=-", "bytes=1-2,4-5", "chars=1-2", "bytes=x-", "bytes= 1-2", f"bytes=0-{'9' * 5_000}"],
    ids=lambda header: header[:20],
)
def test_a_range_that_we_do_not_know_is_the_whole(header: str) -> None:
    assert asked_range(header, 100) == (0, 100)


async def test_a_lane_lies_along_the_time_of_the_session(kept: Recording, fetch: Any) -> None:
    _status, _headers, heard = await fetch(f"/api/voice/sessions/{kept.pk}/audio/heard")
    assert samples_of(heard) == bytes(2_500 * 48) + HEARD
    _status, _headers, both = await fetch(f"/api/voice/sessions/{kept.pk}/audio/both")
    assert samples_of(both)[: len(SAID)] == SAID
    assert len(both) == len(heard)
    assert (await fetch(f"/api/voice/sessions/{kept.pk}/audio/other"))[0] == 404


async def test_of_a_deleted_conversation_nothing_is_heard(kept: Recording, fetch: Any) -> None:
    url = await _sync(of_message, "q")
    await _sync(lambda: conversations.delete_conversation(conversation=kept.conversation))
    assert (await fetch(url))[0] == 404
    assert (await fetch(f"/api/voice/sessions/{kept.pk}/audio/said"))[0] == 404


async def test_a_file_that_is_gone_is_404(kept: Recording, fetch: Any, recordings_folder: Path) -> None:
    (recordings_folder / kept.file).unlink()
    assert (await fetch(await _sync(of_message, "q")))[0] == 404


def test_a_message_without_kept_audio_is_404(ada: User, kept: Recording, page_of: Any) -> None:
    Message.objects.update(audio_ms=None)
    assert page_of(ada).get(of_message("q")).status_code == 404


def test_nobody_hears_without_a_login(kept: Recording) -> None:
    assert Client().get(of_message("q")).status_code in (401, 403)


class TestGone:
    """The file, the row and the mark on the messages go together."""

    @pytest.fixture(autouse=True)
    def _gone(self, kept: Recording, recordings_folder: Path) -> Any:
        file = recordings_folder / kept.file
        assert file.exists()
        yield
        assert not file.exists()
        assert not Recording.objects.exists()
        assert not Message.objects.filter(audio_ms__isnull=False).exists()

    def test_when_the_person_deletes_it(self, ada: User, kept: Recording, api_of: Any) -> None:
        program: APIClient = api_of(ada)
        url = f"/api/conversations/{kept.conversation_id}/audio/"
        assert program.delete(url).status_code == 204
        kept.conversation.refresh_from_db()
        assert kept.conversation.keep == "transcript"
        assert Message.objects.count() == 2
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.conversation_id) == (
            "delete_audio",
            ada,
            kept.conversation_id,
        )

    def test_with_the_account(self, ada: User) -> None:
        delete_person(ada)

    def test_with_the_conversation(self, kept: Recording) -> None:
        kept.conversation.delete()

    def test_with_the_session(self, kept: Recording) -> None:
        kept.session.delete()

    def test_when_its_time_is_over(self, kept: Recording) -> None:
        retention.purge(kept.expires_at)
        assert Recording.objects.count() == 1
        counts = retention.purge(kept.expires_at + timedelta(seconds=1))
        assert counts["recordings"] == 1


def test_a_deletion_that_is_rolled_back_keeps_the_file(kept: Recording, recordings_folder: Path) -> None:
    from django.db import transaction

    with transaction.atomic():
        kept.delete()
        transaction.set_rollback(True)
    assert (recordings_folder / kept.file).exists()


def test_the_date_follows_the_setting(ada: User, recordings_folder: Path, settings: Any) -> None:
    settings.REALTIME_RECORDING_RETENTION_DAYS = 7
    kept = kept_for(ada, recordings_folder)
    assert abs(kept.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)


def test_files_without_a_row_go_after_a_day_and_a_dry_run_only_counts(
    kept: Recording, recordings_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = recordings_folder / "ab" / "lost.pcm"
    lost.parent.mkdir()
    lost.write_bytes(b"x")
    retention.purge(timezone.now() + timedelta(hours=23))
    assert lost.exists()
    tomorrow = timezone.now() + timedelta(hours=25)
    assert recordings.orphans(tomorrow) == ["ab/lost.pcm"]
    call_command("purge", "--dry-run")
    assert f"would delete 0 {retention.LOST_AUDIO}" in capsys.readouterr().out
    assert retention.purge(tomorrow)[retention.LOST_AUDIO] == 1
    assert not lost.exists()
    assert (recordings_folder / kept.file).exists()


async def test_the_export_of_an_account_says_where_its_audio_is(
    ada: User, kept: Recording, fetch: Any
) -> None:
    [row] = (await _sync(lambda: export_person(ada)))["recordings"]
    assert row["session_id"] == kept.pk
    _status, _headers, body = await fetch(row["wav"]["said"])
    assert samples_of(body)[: len(SAID)] == SAID


def test_files_are_readable_by_the_site_s_user_alone(recordings_folder: Path) -> None:
    from realtime import recorder

    recorder._open("aa/x.pcm").close()
    assert (recordings_folder / "aa" / "x.pcm").stat().st_mode & 0o077 == 0
    assert (recordings_folder / "aa").stat().st_mode & 0o077 == 0


async def _sync(work: Callable[..., Any], *arguments: Any) -> Any:
    from asgiref.sync import sync_to_async

    return await sync_to_async(work)(*arguments)
