"""The totals of the ledger: the sums of days are those of the rows, kept once, and the admin's page shows them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import AuditEntry
from realtime import ledger, past, usage_days
from realtime.models import RealtimeSession, UsageDay, UsageRecord, UsageSum

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
PAGE = "/admin/realtime/usagerecord/totals/"
DAY = timedelta(days=1)


def used(
    user: User, at: datetime, *, model: str = "big", meter: str = "response", **fields: Any
) -> UsageRecord:
    """A usage row of a session of its own, written then."""
    session = RealtimeSession.objects.create(
        id=uuid4(), user=user, modality="voice", engine="openai", model=model
    )
    values = {
        "usd": Decimal("0.01"),
        "text_in": 5,
        "audio_in": 7,
        "cached_audio": 3,
        "text_out": 11,
        **fields,
    }
    row = UsageRecord.objects.create(session=session, meter=meter, reference="r", model=model, **values)
    UsageRecord.objects.filter(pk=row.pk).update(created_at=at)
    return row


@pytest.fixture
def a_week(ada: User, bob: User) -> None:
    """Rows of two people and two models on each of eight days, the last one today."""
    for number in range(8):
        at = NOW - number * DAY
        used(ada, at)
        used(ada, at, model="small", usd=None)
        used(bob, at - timedelta(hours=2), usd=Decimal(number) / 100)
        used(bob, at, meter="session_time", seconds=90.0, usd=Decimal(0), text_in=0)


def comparable(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    names = {user.pk: user.get_username() for user in User.objects.all()}
    return {
        str(names.get(row["key"], row["key"])): (
            *(row["rows"], row["unknown"], row["seconds"] / 60, row["usd"]),
            *(row[name] for name in ledger.TOKENS),
        )
        for row in rows
    }


def by_the_rows(by: str, since: date, until: date) -> dict[str, tuple[Any, ...]]:
    """The same from `ledger.totals`, which reads every row."""
    rows = UsageRecord.objects.filter(
        created_at__gte=usage_days.midnight(since), created_at__lt=usage_days.midnight(until + DAY)
    )
    return {
        str(row["name"]): (
            *(row["rows"], row["unknown"], row["minutes"], row["total_usd"]),
            *(row[f"sum_{name}"] for name in ledger.TOKENS),
        )
        for row in ledger.totals(rows, by)
    }


@pytest.mark.usefixtures("a_week")
class TestSums:
    @pytest.mark.parametrize("by", ["user", "model", "day"])
    @pytest.mark.parametrize("days", [1, 3, 30])
    def test_they_are_those_of_the_rows_before_and_after_they_are_kept(self, by: str, days: int) -> None:
        since = TODAY - timedelta(days=days - 1)
        expected = by_the_rows(by, since, TODAY)
        for _look in range(2):
            assert comparable(usage_days.totals(by, since, TODAY, NOW)[0]) == expected

    def test_a_day_is_kept_when_it_is_over_and_a_while_has_passed(self) -> None:
        midnight = usage_days.midnight(TODAY + DAY)
        usage_days.settle(midnight + usage_days.GRACE - timedelta(seconds=1))
        assert TODAY not in UsageDay.objects.values_list("day", flat=True)
        usage_days.settle(midnight + usage_days.GRACE)
        assert UsageSum.objects.filter(day=TODAY).count() == 3

    def test_a_day_without_use_is_not_looked_at_again(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        since = TODAY - timedelta(days=300)
        usage_days.totals("user", since, TODAY, NOW)
        with django_assert_max_num_queries(4):
            usage_days.totals("user", since, TODAY, NOW)

    def test_days_to_come_are_empty_and_not_kept(self) -> None:
        assert usage_days.totals("user", TODAY + DAY, TODAY + 9 * DAY, NOW) == ([], 0)
        assert not UsageDay.objects.exists()

    def test_they_go_with_the_account(self, ada: User, bob: User) -> None:
        usage_days.settle(NOW)
        ada.delete()
        assert set(UsageSum.objects.values_list("user", flat=True)) == {bob.pk}

    @pytest.mark.django_db(transaction=True)  # foreign keys are looked at when a transaction ends
    def test_an_account_that_goes_while_its_day_is_summed_up_leaves_nothing(self, ada: User) -> None:
        yesterday = TODAY - DAY
        sums = usage_days.sums_of(yesterday)
        ada.delete()  # in another process
        usage_days._keep(yesterday, sums)
        assert not UsageSum.objects.exists()
        found = comparable(usage_days.totals("user", yesterday, yesterday, NOW)[0])
        assert found == by_the_rows("user", yesterday, yesterday)

    def test_two_processes_may_keep_the_same_day(self) -> None:
        yesterday = TODAY - DAY
        for _process in range(2):
            usage_days._keep(yesterday, usage_days.sums_of(yesterday))
        found = comparable(usage_days.totals("user", yesterday, yesterday, NOW)[0])
        assert found == by_the_rows("user", yesterday, yesterday)

    def test_a_day_is_that_of_the_sites_time_zone(self, ada: User) -> None:
        used(ada, datetime(2026, 11, 1, 23, 30, tzinfo=UTC))
        with timezone.override("Europe/Berlin"):
            [row], _left = usage_days.totals("day", date(2026, 11, 1), date(2026, 11, 2), NOW)
        assert row["key"] == date(2026, 11, 2)

    @pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's way to explain a plan")
    def test_the_rows_of_a_day_are_found_by_an_index(self) -> None:
        asked: list[tuple[str, Any]] = []

        def note(execute: Any, sql: str, params: Any, *more: Any) -> Any:
            asked.append((sql, params))
            return execute(sql, params, *more)

        with connection.execute_wrapper(note):
            usage_days.sums_of(TODAY)
        [(sql, params)] = asked
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            assert not [row[3] for row in cursor.fetchall() if row[3].startswith("SCAN")]


@pytest.mark.usefixtures("a_week")
class TestPage:
    @pytest.fixture(autouse=True)
    def today(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timezone, "now", lambda: NOW)

    def rows(self, page: Client, **query: Any) -> dict[str, str]:
        """Name and cost of each line."""
        answer = page.get(PAGE, query)
        assert answer.status_code == 200
        return {row.name: f"{row.sums['usd']:.2f}" for row in answer.context["rows"]}

    def test_who_used_how_much(self, operators: Client) -> None:
        assert self.rows(operators) == {"bob": "0.28", "ada": "0.08"}
        body = operators.get(PAGE).content.decode()
        assert '<td>$0.3600</td><td class="voice-bad">8</td>' in body  # all of them
        assert 'value="2026-10-22"' in body  # the first of the days that are meant

    def test_by_model_and_by_day(self, operators: Client) -> None:
        assert self.rows(operators, by="model") == {"big": "0.36", "small": "0.00"}
        days = self.rows(operators, by="day")
        assert list(days) == [f"{TODAY - n * DAY}" for n in range(8)]
        assert days["2026-11-18"] == "0.03"
        assert self.rows(operators, by="nonsense") == self.rows(operators)

    def test_the_totals_of_one_person_lead_to_that_person(self, operators: Client) -> None:
        of_ada = operators.get(PAGE, {"by": "day", "user": "ada"}).content.decode()
        address = f"/admin/auth/user/{User.objects.get(username='ada').pk}/change/"
        assert f'href="{address}"' in of_ada
        assert operators.get(address).status_code == 200
        assert "/admin/auth/user/" not in operators.get(PAGE).content.decode().partition('id="content"')[2]

    def test_filters(self, operators: Client) -> None:
        assert self.rows(operators, user="ADA") == {"ada": "0.08"}
        assert self.rows(operators, model="small") == {"ada": "0.00"}
        assert self.rows(operators, since="2026-11-19") == {"bob": "0.01", "ada": "0.02"}
        assert self.rows(operators, since="2026-11-14", until="2026-11-14") == {"bob": "0.06", "ada": "0.01"}
        assert self.rows(operators, since="2027-01-01") == {}

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ({"user": "nobody"}, "Nobody has this user name"),
            ({"since": "2026-11-20", "until": "2026-11-19"}, "The first day comes after the last one"),
            ({"since": "2020-01-01", "until": "2026-11-19"}, "At most 366 days"),
            ({"since": "yesterday"}, "Enter a valid date"),
            ({"model": "unheard-of"}, "Select a valid choice"),
            ({"since": "9999-12-31"}, "less than or equal to"),
            ({"until": "9999-12-31"}, "less than or equal to"),
            ({"until": "0001-01-01"}, "greater than or equal to"),
        ],
    )
    def test_a_wrong_filter_is_told_and_shows_nothing(
        self, operators: Client, query: dict[str, str], sentence: str
    ) -> None:
        answer = operators.get(PAGE, query)
        assert sentence in answer.content.decode()
        assert not answer.context["rows"]
        assert operators.get(PAGE, {**query, "format": "csv"})["Content-Type"].startswith("text/html")

    def test_a_line_leads_to_its_days(self, operators: Client) -> None:
        row = operators.get(PAGE, {"since": "2026-11-18"}).context["rows"][0]
        assert self.rows(operators, by="day", user="bob", since="2026-11-18") == {
            row.name: f"{row.sums['usd']:.2f}" for row in operators.get(PAGE + row.more).context["rows"]
        }

    def test_the_file_holds_the_same_and_is_noted(self, operators: Client, ada: User) -> None:
        User.objects.filter(pk=ada.pk).update(username="=cmd()")
        page = operators.get(PAGE)
        answer = operators.get(PAGE + page.context["file"])
        assert "attachment" in answer["Content-Disposition"]
        lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
        assert [(line["user"], line["usd"], line["unknown"]) for line in lines] == [
            ("bob", "0.28000000", "0"),
            ("'=cmd()", "0.08000000", "8"),
        ]
        [entry] = AuditEntry.objects.all()
        assert (entry.action, entry.reason) == ("export_usage", "totals by user, 2026-10-22 to 2026-11-20")

    def test_it_is_for_those_who_may_see_usage(self, db: None, page_of: Callable[[User], Client]) -> None:
        staff = User.objects.create_user("staff", is_staff=True)
        assert page_of(staff).get(PAGE).status_code == 403
        staff.user_permissions.set(Permission.objects.filter(codename="view_usagerecord"))
        staff = User.objects.get(pk=staff.pk)
        assert page_of(staff).get(PAGE).status_code == 200
        assert page_of(staff).post(PAGE).status_code == 405

    @pytest.mark.parametrize("by", ["user", "model", "day"])
    def test_it_asks_as_few_questions_about_many_people_as_about_few(
        self, operators: Client, by: str, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(210):
            used(User.objects.create(username=f"user-{number}"), NOW - DAY)
        past.whole()  # the days that are over
        with django_assert_max_num_queries(9):
            answer = operators.get(PAGE, {"by": by})
        if by == "user":
            assert "12 more are in the file" in answer.content.decode()
