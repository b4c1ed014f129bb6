"""`/usage/`: one's own minutes and money by day and month, and what is left of the budgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from realtime import budgets
from realtime.models import Budget, RealtimeSession, UsageRecord
from voiceproject.usage_pages import HEIGHT, drawn, round_above
from voiceproject.used import Used, used_by

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_utc() -> None:
    timezone.activate(UTC)
    yield  # type: ignore[misc]
    timezone.deactivate()


def call(
    user: User, at: datetime, minutes: float, usd: str | None = "0", modality: str = "voice"
) -> RealtimeSession:
    """A session that has ended, with one usage record."""
    session = RealtimeSession.objects.create(
        id=uuid4(), user=user, modality=modality, engine="openai", model="m", cost_usd=Decimal(usd or 0)
    )
    ended = at + timedelta(minutes=minutes)
    RealtimeSession.objects.filter(pk=session.pk).update(started_at=at, ended_at=ended)
    record = UsageRecord.objects.create(session=session, meter="response", reference="r", usd=usd)
    UsageRecord.objects.filter(pk=record.pk).update(created_at=at)
    return session


def test_days_and_months_are_added_up(ada: User) -> None:
    call(ada, NOW - timedelta(hours=1), 4, "0.10")
    call(ada, NOW - timedelta(hours=3), 2, "0.05")
    call(ada, NOW - timedelta(days=19), 10, "1")  # the first of March
    call(ada, NOW - timedelta(days=40), 30, "2")
    report = used_by(ada, NOW)
    assert len(report.days) == 30
    today = report.days[-1]
    assert (today.start, today.calls, today.minutes, today.usd) == (date(2026, 3, 20), 2, 6, Decimal("0.15"))
    assert report.days[-2].calls == 0
    months = [(month.start, month.calls, month.minutes, month.usd) for month in report.months]
    assert months == [(date(2026, 3, 1), 3, 16, Decimal("1.15")), (date(2026, 2, 1), 1, 30, Decimal(2))]
    assert report.month == report.months[0]


def test_a_call_under_way_counts_until_now_and_typing_is_no_call(ada: User) -> None:
    open_call = call(ada, NOW - timedelta(minutes=7), 0)
    RealtimeSession.objects.filter(pk=open_call.pk).update(ended_at=None)
    call(ada, NOW - timedelta(minutes=5), 3, "0.02", modality="text")
    today = used_by(ada, NOW).days[-1]
    assert (today.calls, today.minutes, today.usd) == (1, 7, Decimal("0.02"))


def test_what_others_used_is_not_counted(ada: User, bob: User) -> None:
    call(bob, NOW - timedelta(hours=1), 4, "9")
    assert used_by(ada, NOW).months == []


def test_an_unknown_price_makes_the_sum_a_lower_bound(ada: User) -> None:
    call(ada, NOW - timedelta(hours=1), 4, None)
    call(ada, NOW - timedelta(days=1), 4, "1")
    report = used_by(ada, NOW)
    assert [day.usd_complete for day in report.days[-2:]] == [True, False]
    assert not report.month.usd_complete


def test_budgets_tell_what_is_left(ada: User, bob: User) -> None:
    now = timezone.now().replace(hour=12)
    Budget.objects.create(scope="each", period="day", minutes=20, usd=Decimal(2))
    Budget.objects.create(scope="site", period="month", minutes=100)
    call(ada, now - timedelta(hours=1), 5, "0.50")
    call(bob, now - timedelta(hours=1), 45)
    of_day, of_site = budgets.standings(ada.pk, now)
    assert (of_day.percent, of_day.minutes_left, of_day.usd_left) == (25, 15, Decimal("1.50"))
    assert of_day.resets_at == now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert (of_site.for_site, of_site.percent) == (True, 50)
    assert of_site.minutes_left is None, "what others used is nobody's to see"


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.004, 0.005), (1, 1), (1.1, 2), (37, 50), (100, 100)])
def test_the_scale_ends_at_a_round_number(value: float, top: float) -> None:
    assert round_above(value) == top


def test_bars_stand_on_the_line_and_small_ones_are_seen() -> None:
    days = [Used(date(2026, 3, 1), seconds=s) for s in (0, 1, 600)]
    bars = drawn(days, lambda day: day.minutes).bars
    assert [bar.height for bar in bars] == [0, 1.5, HEIGHT]
    assert all(bar.y + bar.height == HEIGHT for bar in bars)


def test_the_page_shows_it(ada: User, page_of: Callable[[User], Client]) -> None:
    call(ada, timezone.now() - timedelta(minutes=10), 4, "0.25")
    Budget.objects.create(scope="one", user=ada, period="month", minutes=60)
    text = page_of(ada).get("/usage/").content.decode()
    assert "56 of 60 minutes left" in text
    assert "$0.25" in text
    assert "<strong>4</strong> minutes of calls" in text
    assert text.count('rx="2"><title>') == 60
    assert " style=" not in text, "the content security policy allows no inline style"


def test_the_page_of_somebody_who_never_called(ada: User, page_of: Callable[[User], Client]) -> None:
    assert "You have made no calls yet." in page_of(ada).get("/usage/").content.decode()


def test_one_minute_is_no_minutes(ada: User, page_of: Callable[[User], Client]) -> None:
    call(ada, timezone.now() - timedelta(minutes=10), 0.8)
    assert "<strong>1</strong> minute of calls" in page_of(ada).get("/usage/").content.decode()
