"""What one person used, by day and by month: minutes of calls from the sessions, money from the ledger. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Sum
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from realtime import ledger
from realtime.models import RealtimeSession, UsageRecord

DAYS, MONTHS = 30, 12


@dataclass(slots=True)
class Used:
    """One day, or a month from its first day on. `usd_complete` is False when some usage had no known price."""

    start: date
    calls: int = 0
    seconds: float = 0.0
    usd: Decimal = Decimal(0)
    usd_complete: bool = True

    @property
    def minutes(self) -> float:
        """Of voice calls."""
        return self.seconds / 60

    def add(self, other: Used) -> None:
        """Count another one into this."""
        self.calls += other.calls
        self.seconds += other.seconds
        self.usd += other.usd
        self.usd_complete &= other.usd_complete


@dataclass(slots=True)
class Report:
    """`days`: the last 30, oldest first, none left out. `months`: those with any use of the last 12, latest first."""

    days: list[Used] = field(default_factory=list)
    months: list[Used] = field(default_factory=list)
    month: Used = field(default_factory=lambda: Used(date.min))


def used_by(person: Any, now: datetime) -> Report:
    """The report of one person; days and months are those of the site's time zone."""
    today = timezone.localtime(now).date()
    first_month = _months_before(today, MONTHS - 1)
    days = _days(person, since=_midnight(first_month), now=now)
    months: dict[date, Used] = {}
    for day in days.values():
        months.setdefault(day.start.replace(day=1), Used(day.start.replace(day=1))).add(day)
    this_month = today.replace(day=1)
    return Report(
        days=[
            days.get(day, Used(day)) for day in (today - timedelta(days=n) for n in range(DAYS - 1, -1, -1))
        ],
        months=sorted(months.values(), key=lambda month: month.start, reverse=True),
        month=months.get(this_month, Used(this_month)),
    )


def _days(person: Any, since: datetime, now: datetime) -> dict[date, Used]:
    took = ExpressionWrapper(Coalesce(F("ended_at"), now) - F("started_at"), output_field=DurationField())
    calls = RealtimeSession.objects.filter(
        user=person, modality=RealtimeSession.Modality.VOICE, started_at__gte=since
    )
    sums = (
        calls.annotate(day=TruncDate("started_at")).values("day").annotate(calls=Count("pk"), time=Sum(took))
    )
    found = {row["day"]: Used(row["day"], row["calls"], row["time"].total_seconds()) for row in sums}
    rows = UsageRecord.objects.filter(session__user=person, created_at__gte=since)
    for cost in ledger.totals(rows, "day"):
        day = found.setdefault(cost["name"], Used(cost["name"]))
        day.usd, day.usd_complete = cost["total_usd"], cost["unknown"] == 0
    return found


def _months_before(day: date, count: int) -> date:
    months = day.year * 12 + day.month - 1 - count
    return date(months // 12, months % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone())
