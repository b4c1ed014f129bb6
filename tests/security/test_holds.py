"""Holds: reserved under a lock, settled with their usage, given back by the end of a session or by the reaper."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from realtime import admission, holds, leases, services
from realtime.allowance import FIRST_ANSWER, STRETCH, Verdict
from realtime.effects import RecordEnd, RecordUsage, Release
from realtime.exceptions import Refused
from realtime.journal import Entry
from realtime.models import Budget, Hold, RateCard, RealtimeSession, UsageRecord
from tests.realtime.test_allowance import CONFIG

MODEL = "gpt-realtime-2.1"
QUARTER = Decimal("0.25")


@pytest.fixture(autouse=True)
def a_dollar_a_day(db: None) -> Budget:
    return Budget.objects.create(scope="each", period="day", usd=Decimal(1))


def a_session(user: User, **fields: Any) -> RealtimeSession:
    fields = {
        "modality": "text",
        "engine": "openai",
        "model": MODEL,
        "lease_until": leases.lease_end(),
        **fields,
    }
    return RealtimeSession.objects.create(id=uuid4(), user=user, **fields)


def write(session: RealtimeSession, *records: Any) -> None:
    services.write_entries([Entry(session.pk, None, record) for record in records])


def test_a_hold_that_has_room_is_granted_and_one_too_many_is_not(ada: User) -> None:
    session = a_session(ada)
    verdicts = [holds.reserve(session.pk, f"answer_{n}", QUARTER, 0) for n in range(5)]
    assert verdicts == [Verdict.GRANTED] * 4 + [Verdict.REFUSED]
    assert Hold.objects.count() == 4


def test_a_larger_hold_takes_the_place_of_the_smaller(ada: User) -> None:
    session = a_session(ada)
    assert holds.reserve(session.pk, "answer_1", Decimal("0.6"), 0) is Verdict.GRANTED
    assert holds.reserve(session.pk, "answer_1", Decimal("0.9"), 0) is Verdict.GRANTED
    assert holds.reserve(session.pk, "answer_1", Decimal("1.1"), 0) is Verdict.REFUSED
    assert Hold.objects.get().usd == Decimal("0.9")


def test_what_is_held_for_one_person_is_no_other_s(ada: User, bob: User) -> None:
    holds.reserve(a_session(ada).pk, "answer_1", Decimal("0.9"), 0)
    assert holds.reserve(a_session(bob).pk, "answer_1", Decimal("0.9"), 0) is Verdict.GRANTED
    Budget.objects.create(scope="site", period="day", usd=Decimal(2))
    assert holds.reserve(a_session(bob).pk, "answer_1", Decimal("0.21"), 0) is Verdict.REFUSED


def test_without_a_budget_that_binds_nothing_is_written(ada: User) -> None:
    assert holds.reserve(a_session(ada, engine="local").pk, "answer_1", QUARTER, 0) is Verdict.UNLIMITED
    Budget.objects.all().delete()
    assert holds.reserve(a_session(ada).pk, "answer_1", QUARTER, 0) is Verdict.UNLIMITED
    assert not Hold.objects.exists()


def test_an_unknown_price_is_refused(ada: User) -> None:
    assert holds.reserve(a_session(ada).pk, "answer_1", None, 0) is Verdict.REFUSED


def test_an_ended_session_reserves_nothing(ada: User) -> None:
    assert (
        holds.reserve(a_session(ada, ended_at=timezone.now()).pk, "answer_1", QUARTER, 0) is Verdict.REFUSED
    )


def test_usage_settles_its_hold_and_writing_it_twice_changes_nothing(ada: User) -> None:
    session = a_session(ada)
    for reference in ("answer_1", "answer_2"):
        holds.reserve(session.pk, reference, QUARTER, 0)
    used = RecordUsage("response", "r1", text_out=1_000, model=MODEL, settles="answer_1")
    write(session, used)
    write(session, used)
    assert [hold.reference for hold in Hold.objects.all()] == ["answer_2"]
    session.refresh_from_db()
    assert session.cost_usd == Decimal("0.024")


def test_an_estimate_is_kept_as_one(ada: User) -> None:
    session = a_session(ada)
    write(session, RecordUsage("response", "r1", text_out=1_000, model=MODEL, estimated=True))
    assert UsageRecord.objects.get().estimated


def test_a_release_gives_back(ada: User) -> None:
    session = a_session(ada)
    holds.reserve(session.pk, "answer_1", QUARTER, 0)
    write(session, Release("answer_1"))
    assert not Hold.objects.exists()


def test_the_end_of_a_session_gives_back_all_of_its_holds_and_no_others(ada: User) -> None:
    session, other = a_session(ada), a_session(ada)
    for one in (session, other):
        holds.reserve(one.pk, "answer_1", QUARTER, 0)
    write(session, RecordEnd("person_ended"))
    assert Hold.objects.get().session_id == other.pk


def test_a_session_that_was_ended_from_outside_holds_until_its_process_has_stored_its_usage(
    ada: User,
) -> None:
    session = a_session(ada)
    holds.reserve(session.pk, "answer_1", Decimal("0.9"), 0)
    services.end_for_operator([session.pk])
    assert holds.reserve(a_session(ada).pk, "answer_1", QUARTER, 0) is Verdict.REFUSED
    write(
        session,
        RecordUsage("response", "r", text_out=10, model=MODEL, settles="answer_1"),
        RecordEnd("operator"),
    )
    assert holds.reserve(a_session(ada).pk, "answer_1", QUARTER, 0) is Verdict.GRANTED


@pytest.mark.parametrize("ended", [False, True])
def test_what_a_crash_left_held_is_given_back_by_the_reaper(ada: User, ended: bool) -> None:
    session = a_session(ada)
    holds.reserve(session.pk, "answer_1", Decimal("0.9"), 0)
    RealtimeSession.objects.filter(pk=session.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1), ended_at=timezone.now() if ended else None
    )
    living = a_session(ada)
    holds.reserve(living.pk, "answer_1", Decimal("0.01"), 0)
    leases.reap_lost_sessions()
    assert Hold.objects.get().session_id == living.pk


def test_a_session_begins_with_its_first_answer_and_a_minute_held(ada: User) -> None:
    Budget.objects.create(scope="each", period="month", minutes=1)
    session = a_session(ada, modality="voice")
    assert holds.open_with(session, CONFIG)
    held = {hold.reference: hold for hold in Hold.objects.all()}
    assert set(held) == {FIRST_ANSWER, STRETCH}
    assert held[STRETCH].seconds == 60
    assert held[FIRST_ANSWER].usd > Decimal("0.13")
    with pytest.raises(Refused, match=r"limit\.budget"):
        holds.open_with(a_session(ada, modality="voice"), CONFIG)
    assert Hold.objects.count() == 2


def test_a_call_may_reserve_its_own_budget_to_the_last_second(ada: User) -> None:
    Budget.objects.create(scope="one", user=ada, period="month", minutes=2)
    session = a_session(ada, modality="voice")
    assert holds.reserve(session.pk, STRETCH, Decimal(0), 120) is Verdict.GRANTED
    assert holds.reserve(session.pk, STRETCH, Decimal(0), 121) is Verdict.REFUSED


def test_a_refused_session_leaves_neither_row_nor_hold_and_its_token_is_good_later(
    ada: User, settings: Any
) -> None:
    settings.REALTIME_BASE_URL, settings.OPENAI_API_KEY = "wss://api.openai.com/v1/realtime", "sk-test"
    token = admission.mint(user=ada, origin="", modality="text").token
    full = a_session(ada, cost_usd=Decimal("0.99"))
    with pytest.raises(Refused, match=r"limit\.budget"):
        admission.redeem(token_text=token, origin="", worker="w")
    assert not RealtimeSession.objects.exclude(pk=full.pk).exists()
    RealtimeSession.objects.filter(pk=full.pk).update(cost_usd=0)
    opening = admission.redeem(token_text=token, origin="", worker="w")
    assert opening.config.limited
    assert Hold.objects.get().session_id == opening.session_id


def test_a_site_with_a_budget_in_money_needs_to_know_its_prices(ada: User, settings: Any) -> None:
    settings.REALTIME_BASE_URL, settings.OPENAI_API_KEY = "wss://api.openai.com/v1/realtime", "sk-test"
    RateCard.objects.all().delete()
    with pytest.raises(Refused, match=r"limit\.price_unknown"):
        admission.mint(user=ada, origin="")


@pytest.mark.django_db(transaction=True)
def test_of_many_that_reserve_at_once_no_more_succeed_than_there_is_room_for(ada: User) -> None:
    sessions = [a_session(ada) for _ in range(10)]
    verdicts: list[Verdict] = []
    ready = threading.Barrier(10)

    def reserve(session: RealtimeSession) -> None:
        ready.wait()
        try:
            verdicts.extend(
                holds.reserve(session.pk, f"answer_{number}", Decimal("0.07"), 0) for number in range(5)
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=reserve, args=[session]) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts.count(Verdict.GRANTED) == Hold.objects.count() == 14
    assert len(verdicts) == 50
