"""Sessions of a process that is gone are ended with what they were saying; living ones are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Message
from realtime import leases, services
from realtime.journal import Journal
from realtime.models import RealtimeSession, UsedToken
from realtime.ownership import HOST, WORKER
from realtime.switchboard import Switchboard

pytestmark = pytest.mark.django_db


@pytest.fixture
def session(ada: Any) -> RealtimeSession:
    """A session of Ada's whose process has not renewed the lease."""
    return RealtimeSession.objects.create(
        id=uuid4(),
        user=ada,
        conversation=conversations.create_conversation(owner=ada),
        modality="voice",
        lease_until=timezone.now() - timedelta(seconds=1),
    )


def said(session: RealtimeSession, role: str, status: str, text: str, modality: str = "voice") -> Message:
    message = conversations.record_message(
        conversation_id=session.conversation_id,
        session_id=session.pk,
        item_id=uuid4().hex,
        position=1_000 + Message.objects.count(),
        role=role,
        modality=modality,
        status=status,
        text=text,
    )
    assert message is not None
    return message


def test_a_lost_session_is_ended_once(session: RealtimeSession) -> None:
    assert leases.reap_lost_sessions() == 1
    session.refresh_from_db()
    assert session.end_reason == "lost"
    assert session.ended_at is not None
    assert leases.reap_lost_sessions() == 0


def test_a_session_whose_lease_was_renewed_lives(session: RealtimeSession) -> None:
    RealtimeSession.objects.update(lease_until=leases.lease_end())
    assert leases.reap_lost_sessions() == 0
    session.refresh_from_db()
    assert session.ended_at is None


@pytest.mark.parametrize(
    ("role", "text", "becomes"),
    [("assistant", "Once upon", "interrupted"), ("assistant", "", "failed"), ("user", "", "failed")],
)
def test_what_was_half_said_is_settled(session: RealtimeSession, role: str, text: str, becomes: str) -> None:
    message = said(session, role, "pending", text)
    leases.reap_lost_sessions()
    message.refresh_from_db()
    assert message.status == becomes
    assert message.text == text


def test_a_typed_message_that_nobody_answered_says_so(session: RealtimeSession) -> None:
    answered = said(session, "user", "completed", "One?", "text")
    said(session, "assistant", "completed", "One.")
    open_question = said(session, "user", "completed", "Two?", "text")
    leases.reap_lost_sessions()
    answered.refresh_from_db()
    open_question.refresh_from_db()
    assert answered.status == "completed"
    assert open_question.status == "unanswered"


def test_messages_of_a_living_session_are_left_alone(session: RealtimeSession) -> None:
    RealtimeSession.objects.update(lease_until=leases.lease_end())
    message = said(session, "assistant", "pending", "Once upon")
    leases.reap_lost_sessions()
    message.refresh_from_db()
    assert message.status == "pending"


def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    return process.pid


@pytest.mark.parametrize(
    ("worker", "ended"),
    [
        ("{here}:{dead}:aaaaaaaa", 1),
        (
            "{here}:{own}:aaaaaaaa",
            1,
        ),  # an earlier process that had our number, as in a container that was restarted
        ("{this}", 0),
        ("{here}:{living}:aaaaaaaa", 0),
        ("elsewhere:{dead}:aaaaaaaa", 0),
        ("", 0),
    ],
)
def test_who_starts_ends_the_sessions_of_those_that_are_certainly_dead(
    session: RealtimeSession, worker: str, ended: int
) -> None:
    pids = {"dead": dead_pid(), "own": os.getpid(), "living": os.getppid(), "this": WORKER}
    RealtimeSession.objects.update(worker=worker.format(here=HOST, **pids))
    assert leases.reap_lost_sessions(only_dead=True) == ended
    assert RealtimeSession.objects.active().count() == 1 - ended


@pytest.mark.django_db(transaction=True)
async def test_a_process_that_starts_after_the_database_was_away_gives_the_others_a_lease_to_renew(
    session: RealtimeSession, settings: Any, tmp_path: Path
) -> None:
    await RealtimeSession.objects.aupdate(worker="elsewhere:7:aaaaaaaa")
    for lease_s, active in ((3_600, 1), (0, 0)):
        settings.REALTIME_LEASE_SEC = lease_s
        board = Switchboard(Journal(services.write_entries, tmp_path))
        settings.REALTIME_REAP_EVERY_SEC = 3_600
        try:
            await board.start()
            assert await RealtimeSession.objects.active().acount() == 1
            await board._reap()
            assert await RealtimeSession.objects.active().acount() == active
        finally:
            await board.drain(0, 5)


def test_a_spent_token_is_remembered_for_longer_than_it_could_be_used() -> None:
    UsedToken.objects.create(jti="old", session_id=uuid4())
    UsedToken.objects.update(used_at=timezone.now() - leases.TOKEN_MEMORY - timedelta(seconds=1))
    UsedToken.objects.create(jti="new", session_id=uuid4())
    assert leases.forget_used_tokens() == 1
    assert UsedToken.objects.get().jti == "new"
    assert timedelta(seconds=300 + 60) < leases.TOKEN_MEMORY
