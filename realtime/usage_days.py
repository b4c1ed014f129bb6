"""What each person used of each model, day by day: sums for the admin's totals, made from usage rows and kept.

A usage row belongs to the day on which it was written, so a day that is over never gets another one: its sums are
made once and kept, and only the days that are not over are read from the rows. They go with the account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Min, Q, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from realtime.ledger import TOKENS
from realtime.models import RateCard, UsageDay, UsageRecord, UsageSum
from realtime.usage import SESSION_TIME

GRACE = timedelta(minutes=10)  # a row that was made just before midnight is stored by then
# Days that can be asked for: those before and after them are days, too.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
COUNTED = ("rows", "unknown", "answers", "seconds", "usd", *TOKENS)
KEYS = {"user": "user_id", "model": "model", "day": "day_id"}


def settle(now: datetime | None = None, *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Keep the sums of the days that lie behind, so that nobody who looks has to wait for them.

    Returns how many are left, which is none unless `go_on` said no.
    """
    now = now or timezone.now()
    first = _first_day()
    yesterday = timezone.localtime(now).date() - timedelta(days=1)
    return 0 if first is None else _keep_over(first, yesterday, now, go_on)


def totals(
    by: str,
    since: date,
    until: date,
    now: datetime,
    *,
    user_id: int | None = None,
    model: str = "",
    go_on: Callable[[], bool] = lambda: True,
) -> tuple[list[dict[str, Any]], int]:
    """Sums by "user" (key: its id), "model" or "day", both days included; each a dict of `key` and `COUNTED`.

    Beside them how many days are missing, because `go_on` said no before they were summed up: the earliest ones. A few
    questions once the days that are over are kept.
    """
    name = KEYS[by]
    left = _keep_over(since, until, now, go_on)
    fresh = _not_over(since, until, now)
    kept = UsageSum.objects.filter(day__gte=since, day__lte=until)
    if user_id is not None:
        kept = kept.filter(user_id=user_id)
    if model:
        kept = kept.filter(model=model)
    found: dict[Any, dict[str, Any]] = {}
    sums: Iterable[Any] = kept.values(key=F(name)).annotate(
        **{f"sum_{field}": Sum(field) for field in COUNTED}
    )
    for row in sums:
        found[row["key"]] = {"key": row["key"], **{field: row[f"sum_{field}"] for field in COUNTED}}
    for one in fresh:
        if user_id not in (None, one.user_id) or (model and model != one.model):
            continue
        key = getattr(one, name)
        into = found.setdefault(key, {"key": key, **dict.fromkeys(COUNTED, 0)})
        for field in COUNTED:
            into[field] += getattr(one, field)
    return list(found.values()), left


def models_known() -> list[str]:
    """Models that were used on a day that is kept, have a price, or are set now: for a choice."""
    known = set(RateCard.objects.values_list("model", flat=True))
    known |= {settings.REALTIME_MODEL, settings.REALTIME_TRANSCRIPTION_MODEL}
    known |= set(UsageSum.objects.values_list("model", flat=True).distinct())
    return sorted(known - {""})


def _keep_over(since: date, until: date, now: datetime, go_on: Callable[[], bool]) -> int:
    """Keep the sums of the days that are over, the latest first, as long as `go_on` says so; how many are left."""
    over = [day for day in _days(since, until) if _is_over(day, now)]
    kept = set(UsageDay.objects.filter(day__gte=since, day__lte=until).values_list("day", flat=True))
    missing = [day for day in over if day not in kept]
    # Before the first row there is nothing to sum up, and nothing to keep.
    first = _first_day() if missing else None
    missing = [] if first is None else [day for day in missing if day >= first]
    while missing and go_on():
        day = missing.pop()
        _keep(day, sums_of(day))
    return len(missing)


def _not_over(since: date, until: date, now: datetime) -> list[UsageSum]:
    """The sums of the days that may still get rows: today, and yesterday for a while."""
    days = [day for day in _days(since, until) if midnight(day) <= now and not _is_over(day, now)]
    return [one for day in days for one in sums_of(day)]


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=n) for n in range((until - since).days + 1)]


def _is_over(day: date, now: datetime) -> bool:
    """Whether it gets no more rows."""
    return midnight(day + timedelta(days=1)) + GRACE <= now


def _first_day() -> date | None:
    """The day of the first usage row."""
    at: datetime | None = UsageRecord.objects.aggregate(first=Min("created_at"))["first"]
    return None if at is None else timezone.localtime(at).date()


def _keep(day: date, sums: Iterable[UsageSum]) -> None:
    # An account that is deleted in this moment refuses its sums: the next look makes the day's anew.
    with suppress(IntegrityError), transaction.atomic():
        # Another process may have been quicker, with the same sums.
        UsageDay.objects.bulk_create([UsageDay(day=day)], ignore_conflicts=True)
        UsageSum.objects.bulk_create(sums, batch_size=500, ignore_conflicts=True)


def sums_of(day: date) -> list[UsageSum]:
    """From the rows themselves, not stored: one question, answered by an index."""
    rows = UsageRecord.objects.filter(
        created_at__gte=midnight(day), created_at__lt=midnight(day + timedelta(days=1))
    )
    grouped: Iterable[Any] = rows.values("model", user_id=F("session__user_id")).annotate(
        rows=Count("pk"),
        unknown=Count("pk", filter=Q(usd=None)),
        answers=Count("pk", filter=Q(meter="response")),
        of_sessions=Coalesce(Sum("seconds", filter=Q(meter=SESSION_TIME)), Value(0.0)),
        total_usd=Sum("usd"),
        **{f"sum_{name}": Sum(name) for name in TOKENS},
    )
    return [
        UsageSum(
            day_id=day,
            user_id=row["user_id"],
            model=row["model"],
            rows=row["rows"],
            unknown=row["unknown"],
            answers=row["answers"],
            seconds=row["of_sessions"],
            usd=row["total_usd"] or Decimal(0),
            **{name: row[f"sum_{name}"] for name in TOKENS},
        )
        for row in grouped
    ]


def midnight(day: date) -> datetime:
    """When it begins, in the site's time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone())
