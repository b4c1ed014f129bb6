"""What is too old goes, what is not stays; and after the deletion of an account nothing of the person is found."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from conversations.models import AuditEntry, Conversation, Message
from conversations.services import create_conversation, delete_conversation, record_message, save_preferences
from realtime.models import RealtimeSession, SessionEvent, Turn, UsageRecord, UsedToken
from voiceproject import retention
from voiceproject.account import delete_person

CANARY = "canary-7c1f"
NOW = timezone.now()


def conversation_of(user: User, days_old: float) -> Conversation:
    conversation = create_conversation(owner=user, title="t")
    then = NOW - timedelta(days=days_old)
    Conversation.objects.filter(pk=conversation.pk).update(created_at=then, updated_at=then)
    return conversation


def session_of(user: User, days_old: float | None) -> RealtimeSession:
    ended = None if days_old is None else NOW - timedelta(days=days_old)
    return RealtimeSession.objects.create(
        id=uuid4(), user=user, modality="voice", engine="local", model="m", ended_at=ended
    )


def test_conversations_go_when_nothing_was_said_for_so_long(ada: User, settings: Any) -> None:
    settings.RETENTION_DAYS = 100
    conversation_of(ada, 100.1)
    kept = conversation_of(ada, 99.9)
    assert retention.purge(NOW)["conversations"] == 1
    assert list(Conversation.objects.all()) == [kept]


def test_deleted_conversations_go_sooner(ada: User, settings: Any) -> None:
    settings.RETENTION_DELETED_DAYS = 3
    conversation = delete_conversation(conversation=conversation_of(ada, 5)) or Conversation.objects.get()
    retention.purge(NOW + timedelta(days=2.9))
    assert Conversation.objects.count() == 1
    retention.purge(NOW + timedelta(days=3.1))
    assert not Conversation.objects.filter(pk=conversation.pk).exists()


def test_sessions_go_later_than_words_and_those_under_way_never(ada: User) -> None:
    session_of(ada, 731)
    kept, live = session_of(ada, 729), session_of(ada, None)
    RealtimeSession.objects.filter(pk=live.pk).update(started_at=NOW - timedelta(days=5_000))
    assert retention.purge(NOW)["sessions"] == 1
    assert {row.pk for row in RealtimeSession.objects.all()} == {kept.pk, live.pk}


def test_a_dry_run_counts_and_deletes_nothing(ada: User) -> None:
    conversation_of(ada, 400)
    session_of(ada, 800)
    out = StringIO()
    call_command("purge", "--dry-run", stdout=out)
    assert "would delete 1 conversations" in out.getvalue()
    assert "would delete 1 sessions" in out.getvalue()
    assert Conversation.objects.count() == RealtimeSession.objects.count() == 1
    out = StringIO()
    call_command("purge", stdout=out)
    assert "deleted 1 conversations" in out.getvalue()
    assert not Conversation.objects.exists()
    assert not RealtimeSession.objects.exists()


def test_more_than_one_batch_goes_and_a_second_run_finds_nothing(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        conversation_of(ada, 400)
    assert retention.purge(NOW)["conversations"] == 5
    assert retention.purge(NOW)["conversations"] == 0


def a_marked_life(user: User) -> None:
    """Everything that can hold text of a person, with the mark in it."""
    conversation = create_conversation(owner=user, title=f"title {CANARY}")
    session = RealtimeSession.objects.create(
        id=uuid4(), user=user, conversation=conversation, modality="voice", engine="local", model="m",
        user_agent=CANARY, worker="w", auth_hash=CANARY, login_key=CANARY, voice="v",
    )  # fmt: skip
    record_message(
        conversation_id=conversation.pk, session_id=session.pk, item_id=CANARY, position=1, role="user",
        modality="text", status="completed", text=f"said {CANARY}", client_id=CANARY,
    )  # fmt: skip
    Turn.objects.create(session=session, response_id=CANARY, item_id=CANARY, status="completed")
    SessionEvent.objects.create(session=session, at_ms=1, name="e", data={"x": CANARY})
    UsageRecord.objects.create(session=session, meter="response", reference=CANARY)
    UsedToken.objects.create(jti=CANARY, session_id=session.pk)
    save_preferences(owner=user, theme="dark")
    RefreshToken.for_user(user)
    AccessAttempt.objects.create(username=user.username, attempt_time=NOW, failures_since_start=1)
    browser = Client()
    browser.force_login(user)


def columns_with(mark: str) -> list[str]:
    """ "table.column" of every text column of the database in which the mark occurs."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.concrete_fields:
            if isinstance(field, models.CharField | models.TextField | models.JSONField | models.UUIDField):
                with connection.cursor() as cursor:
                    name = f"{connection.ops.quote_name(field.column)}"
                    table = connection.ops.quote_name(model._meta.db_table)
                    cursor.execute(
                        f"SELECT 1 FROM {table} WHERE CAST({name} AS TEXT) LIKE %s LIMIT 1",  # noqa: S608
                        [f"%{mark}%"],
                    )
                    if cursor.fetchone():
                        found.append(f"{model._meta.db_table}.{field.column}")
    return found


def test_after_the_deletion_of_an_account_no_text_column_holds_anything_of_it(bob: User) -> None:
    person = User.objects.create_user(f"name-{CANARY}", f"{CANARY}@example.com", "x", first_name=CANARY)
    bystander = conversation_of(bob, 1)
    a_marked_life(person)
    assert len(columns_with(CANARY)) >= 12
    assert OutstandingToken.objects.exists()
    delete_person(person)
    assert columns_with(CANARY) == []
    assert not OutstandingToken.objects.exists()  # what they say is encoded: no search for words finds it
    assert list(Conversation.objects.all()) == [bystander]
    assert not RealtimeSession.objects.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="what PostgreSQL's files hold is VACUUM's affair")
@pytest.mark.django_db(transaction=True)
def test_after_a_purge_the_files_of_the_database_hold_nothing_of_a_deleted_account() -> None:
    """Neither a page that is free now, nor the log of writes, which a deletion makes longer."""
    name = str(connection.settings_dict["NAME"])
    person = User.objects.create_user(f"name-{CANARY}", f"{CANARY}@example.com", "x", first_name=CANARY)
    a_marked_life(person)
    for number in range(50):
        create_conversation(owner=person, title=f"{CANARY} {number} {'long ' * 20}")

    def files_with_it() -> list[str]:
        return [path for path in (name, f"{name}-wal") if CANARY.encode() in Path(path).read_bytes()]

    assert files_with_it()
    delete_person(person)
    assert files_with_it()
    retention.purge(timezone.now())
    assert files_with_it() == []


def test_a_note_of_who_read_a_deleted_person_s_words_holds_none_of_them(ada: User) -> None:
    a_marked_life(ada)
    conversation = Conversation.objects.get()
    AuditEntry.objects.create(action="view_content", conversation_id=conversation.pk, reason="a reason")
    delete_person(ada)
    assert not Message.objects.exists()
    assert columns_with(CANARY) == []
    assert AuditEntry.objects.count() == 1
