"""What lies behind is summed up in short steps: nobody who looks at a page waits for a month of rows."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from realtime import hours, past, usage_days
from realtime.hours import HOUR
from realtime.journal import Journal
from realtime.models import HourFigures, RealtimeSession, UsageDay, UsageRecord
from realtime.operations.dashboard import dashboard
from realtime.switchboard import Switchboard
from tests.operations.test_hours import a_session
from tests.operations.test_totals import used

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)
DASHBOARD = "/admin/realtime/realtimesession/dashboard/?period=month"
TOTALS = "/admin/realtime/usagerecord/totals/?by=day"


def times(count: int) -> Callable[[], bool]:
    """Says yes so often."""
    answers = iter([True] * count)
    return lambda: next(answers, False)


@pytest.fixture
def a_month(ada: User) -> None:
    """A session, an answer's usage and nothing kept, on each of the last thirty days."""
    for number in range(30):
        a_session(ada, NOW - number * DAY, timedelta(minutes=5), turns=2)
        used(ada, NOW - number * DAY)


@pytest.fixture
def operators(operator: User, page_of: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return page_of(operator)


def test_patience_ends_with_its_seconds() -> None:
    now_s = [5.0]
    go_on = past.for_s(0.5, lambda: now_s[0])
    assert go_on()
    now_s[0] = 5.49
    assert go_on()
    now_s[0] = 5.5
    assert not go_on()


def test_one_more_is_always_done() -> None:
    now_s = [5.0]
    go_on = past.for_s(0.5, lambda: now_s[0])
    now_s[0] = 99.0  # asking what there is to do took long
    assert go_on()
    assert not go_on()


@pytest.mark.usefixtures("a_month")
class TestSteps:
    def test_an_hour_is_summed_up_the_latest_first_and_the_others_are_left(self) -> None:
        left = hours.settle(NOW, go_on=times(3))
        kept = list(HourFigures.objects.order_by("hour").values_list("hour", flat=True))
        assert kept == [hours.floor(NOW) - n * HOUR for n in (3, 2, 1)]
        assert left == 29 * 24 - 3

    def test_a_day_is_summed_up_the_latest_first_and_the_others_are_left(self) -> None:
        assert usage_days.settle(NOW, go_on=times(2)) == 27
        assert [f"{day:%m-%d}" for day in UsageDay.objects.order_by("day").values_list("day", flat=True)] == [
            "11-18",
            "11-19",
        ]

    def test_step_after_step_it_becomes_what_one_long_look_gives(self) -> None:
        whole = dashboard("month", NOW)
        totals = usage_days.totals("day", (NOW - 29 * DAY).date(), NOW.date(), NOW)
        HourFigures.objects.all().delete()
        UsageDay.objects.all().delete()
        lefts = [past.step(NOW, times(50))]
        while lefts[-1]:
            lefts.append(past.step(NOW, times(50)))
        assert all(one > other for one, other in pairwise(lefts))
        assert len(lefts) > 10
        assert (whole["left"], whole["sums"].answers) == (0, 60)
        assert dashboard("month", NOW, times(0)) == whole
        again = usage_days.totals("day", (NOW - 29 * DAY).date(), NOW.date(), NOW, go_on=times(0))
        assert again == totals

    def test_what_cannot_be_kept_yet_is_not_read_by_a_step(
        self, ada: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        a_session(ada, NOW - 4 * HOUR, None)
        past.step(NOW, lambda: True)
        with django_assert_max_num_queries(6):
            assert past.step(NOW, times(0)) == 0

    def test_what_happened_before_the_first_session_needs_no_summing_up(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(6):
            assert past.step(NOW - 40 * DAY, times(0)) == 0
        assert not HourFigures.objects.exists()

    def test_the_command_sums_up_all_of_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(timezone, "now", lambda: NOW)
        monkeypatch.setattr(past, "for_s", lambda _seconds: times(400))
        call_command("realtime_sweep")
        assert capsys.readouterr().out.splitlines()[:1] == ["Hours and days still to sum up: 325."]
        assert (HourFigures.objects.count(), UsageDay.objects.count()) == (29 * 24, 29)


def test_a_purge_takes_nothing_from_the_sums_of_days_that_stay(
    ada: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETENTION_SESSION_DAYS = 10
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    cut = NOW - 10 * DAY
    used(ada, cut - HOUR)
    RealtimeSession.objects.update(started_at=cut - HOUR, ended_at=cut - HOUR)
    call_command("purge")
    assert not UsageRecord.objects.exists()
    rows, left = usage_days.totals("user", cut.date(), cut.date(), NOW)
    assert ([row["rows"] for row in rows], left) == ([1], 0)


@pytest.mark.usefixtures("a_month")
class TestLooks:
    """With a page's patience over at once: what is there is shown, and what is not is told."""

    @pytest.fixture(autouse=True)
    def patience(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        steps = [0]
        monkeypatch.setattr(past, "for_s", lambda _seconds: times(steps[0]))
        return steps

    @pytest.mark.parametrize("page", [DASHBOARD, TOTALS])
    def test_the_first_look_asks_few_questions_and_says_what_is_missing(
        self, operators: Client, page: str, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(20):
            answer = operators.get(page)
        missing = {DASHBOARD: "696 earlier hours are still being summed up", TOTALS: "29 earlier days"}[page]
        body = answer.content.decode()
        assert missing in body
        assert "data-left" in body
        assert "admin_voice/left.js" in body

    @pytest.mark.parametrize("page", [DASHBOARD, TOTALS])
    def test_each_look_goes_on_until_nothing_is_missing(
        self, operators: Client, page: str, patience: list[int]
    ) -> None:
        patience[0] = {DASHBOARD: 300, TOTALS: 10}[page]
        looks = [operators.get(page) for _ in range(4)]
        assert [look.context["left"] > 0 for look in looks] == [True, True, False, False]
        assert "data-left" not in looks[-1].content.decode()
        if page == DASHBOARD:
            assert looks[-1].context["sums"].answers == 60
            assert (
                len(looks[0].context["charts"][0].bars) == 31
            )  # every day has its place from the first look on
        else:
            assert [len(look.context["rows"]) for look in looks] == [11, 21, 30, 30]

    def test_a_file_has_every_day_at_the_first_look(self, operators: Client) -> None:
        answer = operators.get(f"{TOTALS}&format=csv")
        assert len(list(csv.DictReader(io.StringIO(answer.content.decode())))) == 30


# It touches no row, but looks after the connections that earlier tests left on its thread.
@pytest.mark.django_db(transaction=True)
class TestBySelf:
    """A site that runs does it without being asked."""

    async def test_it_goes_on_step_by_step_until_nothing_is_left(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        lefts, pauses = iter([7, 3, 0, 99]), []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        monkeypatch.setattr(past, "step", lambda: next(lefts))
        monkeypatch.setattr(asyncio, "sleep", pause)
        await Switchboard(Journal(lambda entries: None, tmp_path))._sum_up()
        assert next(lefts) == 99
        assert pauses == [past.STEP_S * 9] * 2  # a tenth of the time at most

    async def test_what_does_not_go_on_waits_for_the_next_round(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        lefts = iter([7, 7, 99])
        monkeypatch.setattr(past, "step", lambda: next(lefts))
        monkeypatch.setattr(past, "STEP_S", 0)
        await Switchboard(Journal(lambda entries: None, tmp_path))._sum_up()
        assert next(lefts) == 99

    async def test_a_fault_in_it_casts_no_doubt_on_the_leases(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def step() -> int:
            raise ZeroDivisionError

        monkeypatch.setattr(past, "step", step)
        await Switchboard(Journal(lambda entries: None, tmp_path))._sum_up()
        assert "what lies behind is not summed up for now: ZeroDivisionError" in caplog.text


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's way to explain a plan")
@pytest.mark.usefixtures("a_month")
def test_the_questions_of_a_step_are_answered_by_indexes() -> None:
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, *more: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, *more)

    with connection.execute_wrapper(note):
        past.step(NOW, times(4))
    asked = [(sql, params) for sql, params in asked if sql.startswith("SELECT")]
    assert len(asked) >= 10
    for sql, params in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            assert not [row[3] for row in cursor.fetchall() if row[3].startswith("SCAN")], sql
