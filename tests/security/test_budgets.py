"""Budgets: who is bound by which, what a session reserves, what is refused, and what a session does near the end."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from realtime import admission, budgets
from realtime.budgets import Wish
from realtime.effects import End, SendBrowser, SendUpstream
from realtime.exceptions import Refused
from realtime.models import Budget, Hold, RealtimeSession, UsageRecord
from realtime.session import ENDED
from tests.realtime.page import eventually
from tests.security.test_odd_upstream import talking


def budget(scope: str = "each", period: str = "day", **limits: Any) -> Budget:
    return Budget.objects.create(scope=scope, period=period, **limits)


def took(user: User, minutes: float, *, usd: str = "0", engine: str = "openai", days_ago: float = 0) -> None:
    """A session that has ended."""
    session = RealtimeSession.objects.create(
        id=uuid4(), user=user, modality="voice", engine=engine, model="m", cost_usd=Decimal(usd)
    )
    started = timezone.now() - timedelta(days=days_ago)
    RealtimeSession.objects.filter(pk=session.pk).update(
        started_at=started, ended_at=started + timedelta(minutes=minutes)
    )


def may(user: User, *, modality: str = "voice", engine: str = "openai") -> bool:
    """Whether there is room for a minute and a quarter of a dollar more."""
    voice = modality == "voice"
    wish = Wish(user.pk, voice=voice, paid=engine != "local", usd=Decimal("0.25"), seconds=60 if voice else 0)
    try:
        budgets.refuse_if_spent(wish)
    except Refused as refused:
        return not is_about_the_budget(refused)
    return True


def is_about_the_budget(refused: Refused) -> bool:
    wait_s = refused.retry_after_s or 0
    return (refused.status, refused.code) == (429, "limit.budget") and 0 < wait_s <= 32 * 86_400


def test_without_a_budget_everybody_may(ada: User) -> None:
    took(ada, 10_000, usd="9999")
    assert may(ada)


def test_minutes_of_a_day(ada: User, bob: User) -> None:
    budget(minutes=30)
    took(ada, 28.9)
    assert may(ada)
    took(ada, 0.2)
    assert not may(ada)
    assert may(bob)
    assert may(ada, modality="text")


def test_no_minutes_for_the_site_let_nobody_in_until_they_are_taken_away(ada: User, bob: User) -> None:
    none = budget("site", minutes=0)
    for person in (ada, bob):
        with pytest.raises(Refused, match=r"limit\.budget"):
            admission.mint(user=person, origin="")
    assert may(ada, modality="text")
    none.delete()
    assert admission.mint(user=ada, origin="").token


def test_what_was_used_on_another_day_does_not_count(ada: User) -> None:
    budget(minutes=30)
    took(ada, 100, days_ago=2)
    assert may(ada)


def test_money_counts_for_paid_engines_only(ada: User) -> None:
    budget(usd=Decimal(1))
    took(ada, 1, usd="0.75")
    assert may(ada)
    took(ada, 1, usd="0.01")
    assert not may(ada)
    assert may(ada, engine="local")


def test_the_budget_of_the_site_counts_everybody(ada: User, bob: User) -> None:
    budget("site", minutes=10)
    took(ada, 9.5)
    assert not may(bob)


def test_a_person_s_own_budget_takes_the_place_of_each_one_s(ada: User, bob: User) -> None:
    budget(minutes=5)
    budget("one", user=ada, minutes=100)
    took(ada, 50)
    took(bob, 50)
    assert may(ada)
    assert not may(bob)


def test_a_month_binds_beside_the_day(ada: User) -> None:
    budget(minutes=100)
    budget(period="month", minutes=20)
    took(ada, 20)
    assert not may(ada)


def test_what_is_held_for_an_open_session_is_not_for_others(ada: User) -> None:
    budget(minutes=2, usd=Decimal(1))
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, modality="voice", engine="openai", model="m"
    )
    assert may(ada)
    hold = Hold.objects.create(session=session, reference="stretch", seconds=61)
    assert not may(ada)
    hold.delete()
    Hold.objects.create(session=session, reference="answer_1", usd=Decimal("0.76"))
    assert not may(ada)


@pytest.mark.django_db(transaction=True)
def test_of_many_sessions_that_start_at_once_no_more_get_in_than_the_budget_has_room_for(
    ada: User, settings: Any
) -> None:
    settings.REALTIME_MAX_SESSIONS_PER_USER = 10
    budget(minutes=3)
    tokens = [admission.mint(user=ada, origin="", modality="voice").token for _ in range(8)]
    opened: list[Any] = []
    wrong: list[Refused] = []

    def open_one(token: str) -> None:
        try:
            opened.append(admission.redeem(token_text=token, origin="", worker="w"))
        except Refused as refused:
            wrong.extend([] if is_about_the_budget(refused) else [refused])
        finally:
            connection.close()

    threads = [threading.Thread(target=open_one, args=[token]) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == RealtimeSession.objects.count() <= 3
    assert len(opened) >= 2
    assert not wrong


def test_a_mint_is_refused_when_the_budget_is_spent(ada: User) -> None:
    budget(minutes=1)
    took(ada, 1)
    with pytest.raises(Refused, match=r"limit\.budget"):
        admission.mint(user=ada, origin="")


def test_open_sessions_are_told_what_is_used_without_what_is_reserved(ada: User) -> None:
    budget(minutes=10)
    took(ada, 8)
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, modality="voice", engine="openai", model="m"
    )
    assert budgets.used_percent([session.pk]) == {session.pk: 80}
    took(ada, 2)
    assert budgets.used_percent([session.pk])[session.pk] >= 100


def test_of_a_session_over_midnight_each_day_has_its_own_part(ada: User) -> None:
    budget(minutes=30, usd=Decimal(1))
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, modality="voice", engine="openai", model="m", cost_usd=Decimal("9.5")
    )
    RealtimeSession.objects.filter(pk=session.pk).update(
        started_at=today - timedelta(hours=9), ended_at=today + timedelta(minutes=28)
    )
    for reference, at, usd in (("r1", today - timedelta(hours=1), 9), ("r2", today, "0.5")):
        row = session.usage.create(meter="response", reference=reference, usd=Decimal(usd))
        UsageRecord.objects.filter(pk=row.pk).update(created_at=at)
    assert may(ada)
    session.usage.filter(reference="r2").update(usd=Decimal("0.8"))
    assert not may(ada)
    session.usage.all().delete()
    assert may(ada)
    RealtimeSession.objects.filter(pk=session.pk).update(ended_at=today + timedelta(minutes=29, seconds=1))
    assert not may(ada)


def test_a_budget_in_money_and_a_price_that_nobody_knows_do_not_go_together(ada: User) -> None:
    wish = Wish(ada.pk, voice=True, paid=True, usd=None, seconds=60)
    budgets.refuse_if_spent(wish)
    budget(usd=Decimal(100))
    with pytest.raises(Refused, match=r"limit\.price_unknown"):
        budgets.refuse_if_spent(wish)


def test_a_budget_of_nothing_is_spent(ada: User) -> None:
    budget(minutes=0, usd=Decimal(0))
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, modality="voice", engine="openai", model="m"
    )
    assert budgets.used_percent([session.pk]) == {session.pk: 100}


def test_two_budgets_for_the_same_are_refused(db: None) -> None:
    budget(minutes=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        budget(minutes=2)


class TestSession:
    """What a session does when it is told."""

    def codes(self, effects: list[Any]) -> list[str]:
        return [effect.message.get("code", "") for effect in effects if isinstance(effect, SendBrowser)]

    def test_below_eighty_percent_nothing(self) -> None:
        assert talking().budget(79, 1) == []

    def test_at_eighty_it_warns_once(self) -> None:
        session = talking()
        assert self.codes(session.budget(80, 1)) == ["budget.near"]
        assert self.codes(session.budget(90, 2)) == []

    def test_at_ninety_five_the_assistant_is_asked_once_to_wrap_up(self) -> None:
        session = talking()
        asked = [effect.event for effect in session.budget(95, 1) if isinstance(effect, SendUpstream)]
        assert [(event["type"], event["item"]["role"]) for event in asked] == [
            ("conversation.item.create", "system")
        ]
        assert not [effect for effect in session.budget(99, 2) if isinstance(effect, SendUpstream)]

    def test_at_a_hundred_it_ends_and_says_so(self) -> None:
        session = talking()
        effects = session.budget(100, 1)
        assert "limit.budget" in self.codes(effects)
        assert [(e.reason, e.close_code) for e in effects if isinstance(e, End)] == [("budget", 4429)]
        assert session.phase == ENDED


async def test_a_spent_budget_ends_the_call_and_the_upstream(
    make_site: Any, ada: User, settings: Any
) -> None:
    settings.REALTIME_RENEW_EVERY_SEC = 0.05
    site = await make_site()
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await Budget.objects.acreate(scope="each", period="day", minutes=0)
        assert await page.until_closed() == 4429
        assert page.of("error")[-1]["code"] == "limit.budget"
        await eventually(lambda: not site.switchboard.relays)
