"""Whoever locks rows of several kinds does it in one order: two who need the same rows never wait for each other.

Each test holds one row, so that the first of two stands still in the middle of its transaction, starts the second, and
lets go. Both must come through. In two different orders PostgreSQL would abort one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation, Message
from realtime import access, admission, leases, services
from realtime.effects import RecordMessage
from realtime.exceptions import Refused
from realtime.journal import Entry
from realtime.models import Budget, RealtimeSession, Recording
from voiceproject import account, retention

WITHIN_S = 30.0
LONG_AGO = timedelta(days=4_000)
# In this order of keys, and stored in the other: the database comes across them from the last to the first.
KEYS = [UUID(int=n) for n in (1, 2, 3)]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "not connection.features.has_select_for_update",
        reason="SQLite has one writer at a time and no row locks; make test-services runs this on PostgreSQL",
    ),
]


def both(held: QuerySet[Any], first: Callable[[], Any], second: Callable[[], Any]) -> None:
    """Run two at once: the first until it waits for what is held, the second until it waits as well, then both on."""

    def run(work: Callable[[], Any]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        with transaction.atomic():
            assert len(held.select_for_update().values_list("pk", flat=True)) == 1
            running = []
            for number, work in enumerate((first, second), 1):
                running.append(threads.submit(run, work))
                wait_for_waiting(number)
        for one in running:
            one.result(WITHIN_S)


def wait_for_waiting(count: int) -> None:
    """Until so many connections wait for a lock."""
    deadline = time.monotonic() + WITHIN_S
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0] == count:
                return
            time.sleep(0.01)  # nothing tells of a lock that is waited for
    raise AssertionError(f"{count} should wait")


def new_session(person: User, conversation: Conversation, **more: Any) -> RealtimeSession:
    """One that is live."""
    values = {
        "id": uuid4(),
        "modality": "voice",
        "lease_until": leases.lease_end(),
        "worker": "elsewhere:7:0",
    }
    values["auth_hash"] = access.auth_fingerprint(person)
    return RealtimeSession.objects.create(user=person, conversation=conversation, **values | more)


def said(session: RealtimeSession, item_id: str, **more: Any) -> Message:
    """A message that is under way."""
    values = {"position": 1, "role": "assistant", "modality": "voice", "status": "pending", "text": "Once"}
    return Message.objects.create(
        conversation_id=session.conversation_id, session_id=session.pk, item_id=item_id, **values | more
    )


def store(session: RealtimeSession, *records: RecordMessage) -> Callable[[], None]:
    """As the journal does."""
    entries = [Entry(session.pk, session.conversation_id, record) for record in records]

    def write() -> None:
        with transaction.atomic():
            services.write_entries(entries)

    return write


@pytest.fixture
def talk(ada: User) -> RealtimeSession:
    """A live session of Ada's in the middle of an answer."""
    session = new_session(ada, conversations.create_conversation(owner=ada))
    said(session, "item_1")
    return session


ANSWER = RecordMessage("item_1", 1, "assistant", "voice", "completed", "Once upon a time.")


def test_an_account_goes_while_the_journal_stores_what_was_said(ada: User, talk: RealtimeSession) -> None:
    held = Conversation.objects.filter(pk=talk.conversation_id)
    both(held, store(talk, ANSWER), lambda: account.delete_person(ada))
    assert not User.objects.exists()
    assert not Message.objects.exists()


def test_a_conversation_is_purged_while_the_journal_stores_what_was_said(
    ada: User, talk: RealtimeSession
) -> None:
    held = Conversation.objects.filter(pk=talk.conversation_id)
    held.update(deleted_at=timezone.now() - LONG_AGO)
    both(held, store(talk, ANSWER), retention.purge)
    assert not Message.objects.exists()
    talk.refresh_from_db()
    assert talk.conversation is None


def test_audio_is_purged_while_the_journal_stores_what_was_said(ada: User, talk: RealtimeSession) -> None:
    Message.objects.all().delete()
    for key in reversed(KEYS):
        said(talk, f"item_{key.int}", pk=key, audio_ms=400)
    Recording.objects.create(
        session=talk, conversation_id=talk.conversation_id, file="none", expires_at=timezone.now() - LONG_AGO
    )
    answers = [
        RecordMessage(f"item_{key.int}", 1, "assistant", "voice", "completed", "Once.", audio_ms=400)
        for key in KEYS
    ]
    both(Message.objects.filter(pk=KEYS[1]), store(talk, *answers), retention.purge)
    assert {(message.status, message.audio_ms) for message in Message.objects.all()} == {("completed", None)}


def test_a_lost_session_is_settled_while_its_questions_are_sent_again(
    ada: User, talk: RealtimeSession
) -> None:
    Message.objects.all().delete()
    lost = new_session(ada, talk.conversation, lease_until=timezone.now() - timedelta(seconds=1))  # type: ignore[arg-type]
    for key in reversed(KEYS):
        said(lost, f"item_{key.int}", pk=key, role="user", modality="text", client_id=f"typed{key.int}")
    again = [
        RecordMessage(
            f"again_{key.int}",
            100 + key.int,
            "user",
            "text",
            "completed",
            "Why?",
            client_id=f"typed{key.int}",
        )
        for key in KEYS
    ]
    both(Message.objects.filter(pk=KEYS[1]), leases.reap_lost_sessions, store(talk, *again))
    assert {message.status for message in Message.objects.all()} == {"completed"}
    lost.refresh_from_db()
    assert lost.end_reason == "lost"


def test_an_account_goes_while_a_call_of_it_begins(ada: User, talk: RealtimeSession, settings: Any) -> None:
    site = Budget.objects.create(scope="site", period="month", minutes=1_000)
    Budget.objects.create(scope="one", user=ada, period="month", minutes=100)
    token = admission.mint(user=ada, origin="", conversation_id=talk.conversation_id).token
    begin = lambda: admission.redeem(token_text=token, origin="", worker="here:8:0")  # noqa: E731
    both(Budget.objects.filter(pk=site.pk), begin, lambda: account.delete_person(ada))
    assert not User.objects.exists()
    assert not RealtimeSession.objects.exists()


def test_a_call_that_begins_while_its_account_goes_is_refused(ada: User, talk: RealtimeSession) -> None:
    token = admission.mint(user=ada, origin="", conversation_id=talk.conversation_id).token

    def begin() -> None:
        with pytest.raises(Refused, match=r"token\.revoked"):
            admission.redeem(token_text=token, origin="", worker="here:8:0")

    held = Conversation.objects.filter(pk=talk.conversation_id)
    both(held, lambda: account.delete_person(ada), begin)
    assert not RealtimeSession.objects.exists()


@pytest.mark.parametrize(
    "end",
    [
        lambda: services.end_for_operator(KEYS),
        lambda: access.end_sessions(RealtimeSession.objects.all(), "revoked"),
    ],
    ids=["an operator", "a logout"],
)
def test_sessions_are_ended_while_their_process_renews_them(ada: User, end: Callable[[], Any]) -> None:
    for key in reversed(KEYS):
        new_session(ada, conversations.create_conversation(owner=ada), id=key)
    both(RealtimeSession.objects.filter(pk=KEYS[1]), lambda: leases.renew_leases(KEYS), end)
    assert not RealtimeSession.objects.active().exists()
