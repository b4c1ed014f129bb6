"""Figures by the hour: the same as the rows give, kept when settled, thrown away when something is written later."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from realtime import hours, services
from realtime.effects import RecordUsage
from realtime.hours import GRACE, HOUR, Figures, floor, latency_percentile, merged, peak_concurrency
from realtime.journal import Entry
from realtime.models import HourFigures, RealtimeSession, SessionEvent, Turn

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def a_session(user: User, began: datetime, lasted: timedelta | None, **fields: Any) -> RealtimeSession:
    values = {"id": uuid4(), "user": user, "modality": "voice", "engine": "openai", "model": "m"}
    session = RealtimeSession.objects.create(**{**values, **fields})
    ended = None if lasted is None else began + lasted
    RealtimeSession.objects.filter(pk=session.pk).update(started_at=began, ended_at=ended)
    return session


def a_turn(session: RealtimeSession, at: datetime, ms: int) -> None:
    turn = Turn.objects.create(
        session=session, response_id=uuid4().hex, status="completed", response_latency_ms=ms
    )
    Turn.objects.filter(pk=turn.pk).update(created_at=at)


class TestKept:
    def test_an_hour_is_kept_once_it_is_settled(self, ada: User) -> None:
        a_session(ada, NOW - 3 * HOUR, timedelta(minutes=5), turns=4)
        a_session(ada, NOW - 5 * HOUR, timedelta(minutes=5))
        first = hours.between(NOW - 5 * HOUR, NOW)
        assert HourFigures.objects.count() == 5
        assert not HourFigures.objects.filter(hour=floor(NOW)).exists()
        assert first[floor(NOW - 3 * HOUR)].answers == 4
        assert hours.between(NOW - 5 * HOUR, NOW) == first

    def test_what_is_kept_is_not_read_again(
        self, ada: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        hours.between(NOW - 48 * HOUR, NOW)
        with django_assert_max_num_queries(6):
            hours.between(NOW - 48 * HOUR, NOW)

    def test_an_hour_with_an_open_session_is_not_kept(self, ada: User) -> None:
        session = a_session(ada, NOW - 3 * HOUR, None)
        hours.between(NOW - 5 * HOUR, NOW)
        hour = floor(NOW - 3 * HOUR)
        assert not HourFigures.objects.filter(hour=hour).exists()
        RealtimeSession.objects.filter(pk=session.pk).update(ended_at=NOW, interruptions=7)
        assert hours.between(NOW - 5 * HOUR, NOW)[hour].interruptions == 7
        assert HourFigures.objects.filter(hour=hour).exists()

    def test_the_hour_that_has_just_ended_is_not_kept_yet(self, ada: User) -> None:
        a_session(ada, NOW, timedelta(minutes=5))
        hours.between(NOW, floor(NOW) + HOUR + GRACE - timedelta(seconds=1))
        assert not HourFigures.objects.exists()
        hours.between(NOW, floor(NOW) + HOUR + GRACE)
        assert HourFigures.objects.count() == 1

    def test_what_is_written_later_throws_it_away(self, ada: User) -> None:
        now = timezone.now()
        session = a_session(ada, now - 3 * HOUR, timedelta(minutes=5))
        other = a_session(ada, now - 6 * HOUR, timedelta(minutes=5))
        hours.settle(now)
        services.write_entries(
            [Entry(session.pk, None, RecordUsage("response", "late", text_in=1, model="nobody knows"))]
        )
        kept = set(HourFigures.objects.values_list("hour", flat=True))
        assert floor(session.started_at - 3 * HOUR) not in kept
        assert floor(other.started_at - 6 * HOUR) in kept
        assert hours.between(now - 5 * HOUR, now)[floor(now - 3 * HOUR)].unpriced == 1

    def test_two_processes_may_keep_the_same_hour(self, db: None) -> None:
        hours.between(NOW - 2 * HOUR, NOW)
        HourFigures.objects.bulk_create(
            [HourFigures(hour=floor(NOW - HOUR), figures=asdict(Figures()))], ignore_conflicts=True
        )
        assert HourFigures.objects.filter(hour=floor(NOW - HOUR)).count() == 1

    def test_no_person_is_in_it(self, ada: User) -> None:
        session = a_session(ada, NOW - 3 * HOUR, timedelta(minutes=5), errors=1)
        SessionEvent.objects.create(session=session, at_ms=1, name="upstream.error", data={"code": "c"})
        hours.between(NOW - 5 * HOUR, NOW)
        stored = str(list(HourFigures.objects.values_list("figures", flat=True)))
        assert "ada" not in stored
        assert str(session.pk) not in stored


class TestSums:
    def test_they_are_those_of_the_rows(self, ada: User) -> None:
        start = floor(NOW - 3 * HOUR)
        for minute in range(0, 60, 10):
            session = a_session(
                *(ada, start + timedelta(minutes=minute), timedelta(minutes=15)),
                turns=2,
                cost_usd=Decimal("0.01"),
                end_reason="idle",
                errors=int(minute == 0),
            )
            a_turn(session, start + timedelta(minutes=minute), 700 + minute)
        a_session(ada, start - timedelta(minutes=5), timedelta(minutes=14))  # of the hour before, still open
        found = hours.figures_of(start, NOW)
        assert (found.sessions, found.answers, found.usd) == (6, 12, "0.06000000")
        assert (found.seconds, found.errored, found.ends) == (6 * 900, 1, {"idle": 6})
        assert found.latencies == {str(ms): 1 for ms in range(700, 760, 10)}
        assert found.models == {"m": [6, "0.06000000"]}
        assert found.peak == 2
        before = hours.figures_of(start - HOUR, NOW)
        whole = merged([found, before])
        assert (whole.sessions, whole.usd, whole.peak) == (7, "0.06000000", 2)

    def test_concurrency_is_the_most_that_were_open_at_once(self) -> None:
        at = [NOW + timedelta(minutes=minute) for minute in range(10)]
        assert peak_concurrency([(at[0], at[3]), (at[1], at[2]), (at[2], None), (at[3], at[4])], at[9]) == 2
        assert peak_concurrency([], NOW) == 0

    @pytest.mark.parametrize(("share", "ms"), [(0.5, 500), (0.95, 950), (0.99, 990), (1.0, 1_000)])
    def test_percentiles_come_out_of_the_histogram(self, share: float, ms: int) -> None:
        figures = Figures(latencies={str(ms): 1 for ms in range(10, 1_001, 10)})
        assert latency_percentile(figures, share) == ms
        assert latency_percentile(Figures(), share) is None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's way to explain a plan")
class TestPlans:
    def test_every_question_of_an_hour_is_answered_by_an_index(self, ada: User) -> None:
        a_session(ada, NOW - HOUR, timedelta(minutes=5), errors=1)
        asked: list[tuple[str, Any]] = []

        def note(execute: Any, sql: str, params: Any, *more: Any) -> Any:
            asked.append((sql, params))
            return execute(sql, params, *more)

        with connection.execute_wrapper(note):
            hours.between(NOW - 2 * HOUR, NOW)
            hours.forget([NOW - HOUR], NOW)
        asked = [(sql, params) for sql, params in asked if sql.startswith(("SELECT", "DELETE"))]
        assert len(asked) >= 7
        for sql, params in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
                plan = [row[3] for row in cursor.fetchall()]
            assert not [step for step in plan if step.startswith("SCAN")], (sql, plan)
