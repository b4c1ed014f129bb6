"""The admin's lists and pages: bounded questions, none that sorts a whole table or joins it before it is cut short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from realtime.models import RealtimeSession, SessionEvent, Turn, UsageRecord
from realtime.operations import history

LISTS = {
    "session": "/admin/realtime/realtimesession/",
    "turn": "/admin/realtime/turn/",
    "event": "/admin/realtime/sessionevent/",
    "usage": "/admin/realtime/usagerecord/",
}
BIG = ("realtime_realtimesession", "realtime_turn", "realtime_sessionevent", "realtime_usagerecord")

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's way to explain a plan")


@pytest.fixture
def page(operator: User, ada: User, page_of: Callable[[User], Client]) -> Client:
    for number in range(60):
        session = RealtimeSession.objects.create(
            id=uuid4(), user=ada, modality="voice", engine="local", model="m", end_reason="idle"
        )
        Turn.objects.create(session=session, response_id="r", status="completed", response_latency_ms=number)
        SessionEvent.objects.create(session=session, at_ms=1, name="upstream.ready")
        UsageRecord.objects.create(session=session, meter="response", reference="r", usd=0)
    return page_of(operator)


def asked_for(page: Client, url: str) -> list[tuple[str, Any]]:
    """Questions about the big tables that one view of a page asks, the second time."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, *more: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, *more)

    page.get(url)
    with connection.execute_wrapper(note):
        assert page.get(url).status_code == 200
    return [(sql, params) for sql, params in asked if any(f'FROM "{table}"' in sql for table in BIG)]


def plan(sql: str, params: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return [row[3] for row in cursor.fetchall()]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_cut_short_by_an_index_before_anything_else(page: Client, name: str) -> None:
    questions = asked_for(page, LISTS[name])
    assert 2 <= len(questions) <= 4  # the count, the rows, and the sessions that they refer to
    for sql, params in questions:
        assert "JOIN" not in sql
        assert "LIMIT" in sql or '"id" = %s' in sql or '"id" IN (' in sql
        # The last part of an order may be sorted: rows of the same moment.
        assert not [step for step in plan(sql, params) if step == "USE TEMP B-TREE FOR ORDER BY"], sql


@pytest.mark.parametrize("trouble", ["slow", "expensive"])
def test_the_latest_of_many_such_sessions_are_found_without_sorting_them(page: Client, trouble: str) -> None:
    [rows] = [
        (sql, params)
        for sql, params in asked_for(page, f"{LISTS['session']}?trouble={trouble}")
        if "ORDER BY" in sql and "started_at" in sql and "COUNT" not in sql
    ]
    assert f"USING INDEX {trouble}_sessions" in plan(*rows)[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("session", "ada"),
        ("turn", "ada"),
        ("event", "upstream.ready"),
        ("session", "an id"),
        ("event", "an id"),
    ],
)
def test_a_search_asks_an_index(page: Client, name: str, words: str) -> None:
    words = str(RealtimeSession.objects.first().pk) if words == "an id" else words  # type: ignore[union-attr]
    for sql, params in asked_for(page, f"{LISTS[name]}?q={words}"):
        tables = [step for step in plan(sql, params) if step.startswith("SCAN") and "subquery" not in step]
        assert tables == [], sql


def test_a_count_goes_no_further_than_the_pages(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "REACHED", 55)
    answer = page.get(LISTS["turn"], headers={"accept-language": "en"})
    assert answer.context["cl"].result_count == 55
    assert "There are more than 55 rows" in answer.content.decode()
    monkeypatch.setattr(history, "REACHED", 60)
    answer = page.get(LISTS["turn"])
    assert answer.context["cl"].result_count == 60
    assert "There are more" not in answer.content.decode()
