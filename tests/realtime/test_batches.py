"""A batch of the journal: stored in a few statements, and the same as its records one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation, Message
from realtime import services
from realtime.effects import (
    RecordAudio,
    RecordEnd,
    RecordEvent,
    RecordMessage,
    RecordTurn,
    RecordUsage,
    Release,
)
from realtime.journal import Entry
from realtime.models import Hold, RateCard, RealtimeSession, SessionEvent, Turn, UsageRecord

pytestmark = pytest.mark.django_db


def new_session(number: int) -> tuple[UUID, UUID]:
    """A session of a person of its own: its id and its conversation's."""
    person = User.objects.create(username=f"person{uuid4().hex}")
    conversation = conversations.create_conversation(owner=person)
    session = RealtimeSession.objects.create(
        id=UUID(int=number), user=person, conversation=conversation, modality="voice", engine="openai", model="m",
        lease_until=timezone.now() + timedelta(seconds=30),
    )  # fmt: skip
    for reference in ("hold0", "hold1", "hold2"):
        Hold.objects.create(session=session, reference=reference, usd=Decimal(1))
    return session.pk, conversation.pk


def some_records(rng: random.Random, count: int) -> list[Any]:
    """Records as a talk may leave them, and in orders that it does not: replays come late and repeat."""
    found: list[Any] = []
    for _ in range(count):
        n = rng.randrange(3)
        maybe = rng.choice([None, rng.randrange(1_000)])
        asked = RecordMessage(
            f"asked{rng.randrange(2)}-{n}", 2 * n, "user", "text", rng.choice(["completed", "unanswered"]),
            "What is seven times eight?", client_id=f"typed{n}",
        )  # fmt: skip
        asked = rng.choice([asked, replace(asked, position=asked.position + 100)])
        answer = RecordMessage(
            f"answer{n}", 2 * n + 1, "assistant", "voice", rng.choice(["pending", "completed", "interrupted"]),
            "Fifty-six."[: rng.randrange(1, 11)], heard_chars=maybe, heard_ms=maybe,
            audio_ms=rng.choice([None, 400]),
        )  # fmt: skip
        turn = RecordTurn(
            f"response{n}", f"answer{n}", "completed", 10, first_delta_ms=maybe, response_latency_ms=maybe
        )
        usage = RecordUsage(
            "response", f"response{n}", text_out=1_000, model=rng.choice(["", "unknown"]), settles=f"hold{n}"
        )
        event = RecordEvent(rng.randrange(1_000), rng.choice(["response.started", "upstream.error"]))
        found.append(rng.choice([asked, answer, answer, turn, turn, usage, event, Release(f"hold{n}")]))
    if rng.random() < 0.5:
        found.insert(0, RecordAudio())
    if rng.random() < 0.3:
        found.append(RecordEnd("person_ended", {"turns": 3}))
    return found


def kept(session_id: UUID, conversation_id: UUID) -> dict[str, Any]:
    """Everything that is stored of a session, without ids and times."""
    session = RealtimeSession.objects.get(pk=session_id)
    message = ("item_id", "position", "role", "modality", "status", "text", "heard_chars", "heard_ms", "client_id",
               "audio_ms")  # fmt: skip
    turn = ("response_id", "first_delta_ms", "response_latency_ms")
    rows = {
        "messages": Message.objects.filter(conversation=conversation_id).values_list(*message),
        "turns": Turn.objects.filter(session=session).values_list(*turn),
        "usage": UsageRecord.objects.filter(session=session).values_list("reference", "model", "usd", "text_out"),
        "events": SessionEvent.objects.filter(session=session).values_list("at_ms", "name"),
        "holds": Hold.objects.filter(session=session).values_list("reference"),
    }  # fmt: skip
    sums = ("cost_usd", "cost_complete", "slowest_ms", "errors", "turns", "end_reason")
    return {
        **{name: sorted(map(str, found)) for name, found in rows.items()},
        **{name: getattr(session, name) for name in sums},
        "title": Conversation.objects.get(pk=conversation_id).title,
    }


@pytest.mark.parametrize("seed", range(30))
def test_a_batch_is_stored_as_its_records_would_be_one_by_one(seed: int) -> None:
    RateCard.objects.create(model="m", valid_from=timezone.now(), text_out=Decimal(24))
    talks = [some_records(random.Random(seed * 10 + n), 12) for n in range(2)]
    together, alone = [new_session(1), new_session(2)], [new_session(3), new_session(4)]

    # As from two talks at the same time: a record of each in turn, in two batches.
    def entries(sessions: list[tuple[UUID, UUID]]) -> list[Entry]:
        pairs = list(zip(sessions, talks, strict=True))
        mixed = [(session, talk[at]) for at in range(14) for session, talk in pairs if at < len(talk)]
        return [Entry(session_id, conversation_id, record) for (session_id, conversation_id), record in mixed]

    batch = entries(together)
    told = services.write_entries(batch[:9]) + services.write_entries(batch[9:])
    told_alone = [services.write_entries([entry])[0] for entry in entries(alone)]

    assert [kept(*one) for one in together] == [kept(*one) for one in alone]
    assert [message_id is None for message_id in told] == [message_id is None for message_id in told_alone]
    stored = {str(pk) for pk in Message.objects.values_list("pk", flat=True)}
    assert {message_id for message_id in told if message_id} <= stored

    before = [kept(*one) for one in together]
    services.write_entries([entry for entry in batch if not isinstance(entry.record, RecordMessage)])
    assert [kept(*one) for one in together] == before  # twice is as good as once


def answered(n: int) -> list[Any]:
    """The records of one turn."""
    answer = RecordMessage(f"answer{n}", 2 * n + 1, "assistant", "voice", "pending", "Fifty")
    turn = RecordTurn(f"response{n}", f"answer{n}", "completed", 10, 20)
    return [
        RecordMessage(f"asked{n}", 2 * n, "user", "text", "completed", "What?", client_id=f"typed{n}"),
        RecordEvent(n, "response.started"),
        answer,
        replace(answer, status="completed", text="Fifty-six."),
        RecordUsage("response", f"response{n}", text_out=1_000),
        turn,
        replace(turn, response_latency_ms=30),
        replace(answer, status="completed", text="Fifty-six.", heard_ms=400),
        replace(turn, response_latency_ms=30, heard_ms=400),
        RecordEvent(n, "response.done"),
    ]


def test_a_hundred_records_cost_no_statement_each() -> None:
    sessions = [new_session(n) for n in range(1, 6)]
    batch = [
        Entry(session_id, conversation_id, record)
        for session_id, conversation_id in sessions
        for n in range(2)
        for record in answered(n)
    ]
    with CaptureQueriesContext(
        connection,
    ) as asked:
        services.write_entries(batch)
    # What grows is a sum for each session and the title of each conversation: 50 at most here, and not 600.
    assert len(asked) < 55, [query["sql"][:80] for query in asked]
    assert Message.objects.count() == 20
