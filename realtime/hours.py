"""What the sessions of an hour came to: sums for the dashboard, made from the rows once the hour is settled, and kept.

An hour is settled when it has been over for a while and no session that began in it is open. What is written of such a
session later all the same (a replay after a crash) throws the kept sums away, and the next look makes them anew.
No person is in them, so they stay when sessions are deleted.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Min, Q
from django.utils import timezone

from realtime.models import HourFigures, RealtimeSession, SessionEvent, Turn

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=10)  # the journal and its retries are done by then
LOOKED_AT = timedelta(days=31)  # the dashboard looks no further back
LATENCY_STEP_MS = 10
# What counts as an error of the upstream. `services.py` counts the same onto the sessions' rows.
ERROR_EVENTS = frozenset({"upstream.error", "upstream.lost"})
IS_ERROR = Q(name__in=ERROR_EVENTS) | Q(name="response.done", data__status="failed")  # of session events


@dataclass(slots=True)
class Figures:
    """Sums over the sessions that began in a stretch of time. Money as text: JSON has no decimals."""

    sessions: int = 0
    seconds: float = 0.0
    answers: int = 0
    interruptions: int = 0
    errored: int = 0  # sessions
    unpriced: int = 0  # sessions
    usd: str = "0"
    peak: int = 0  # open at once, also those that began before
    latencies: dict[str, int] = field(default_factory=dict)  # ms, rounded down to a step: answers
    errors: dict[str, int] = field(default_factory=dict)  # code: events
    ends: dict[str, int] = field(default_factory=dict)  # reason: sessions
    models: dict[str, list[Any]] = field(default_factory=dict)  # model: sessions, USD


def floor(at: datetime) -> datetime:
    """The beginning of its hour."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def between(
    since: datetime, now: datetime, go_on: Callable[[], bool] = lambda: True
) -> dict[datetime, Figures]:
    """The figures of each hour from that of `since` to that of `now`; what is settled and not yet kept is kept now.

    Once `go_on` says no, no further hour is summed up: those are missing in what is returned, the earliest first.
    """
    hours = hours_of(since, now)
    kept = dict(HourFigures.objects.filter(hour__gte=hours[0]).values_list("hour", "figures"))
    found = {hour: Figures(**figures) for hour, figures in kept.items()}
    found |= _fresh(hours, kept.keys(), now, go_on)
    return {hour: found[hour] for hour in hours if hour in found}


def hours_of(since: datetime, now: datetime) -> list[datetime]:
    """The beginning of each hour from that of `since` to that of `now`."""
    return [floor(since) + n * HOUR for n in range(int((floor(now) - floor(since)) / HOUR) + 1)]


def settle(
    now: datetime | None = None, *, back: timedelta = LOOKED_AT, go_on: Callable[[], bool] = lambda: True
) -> int:
    """Keep the figures of the hours that lie behind, so that nobody who looks has to wait for them.

    Returns how many are left, which is none unless `go_on` said no.
    """
    now = now or timezone.now()
    hours = [hour for hour in hours_of(now - back, now) if hour + HOUR + GRACE <= now]
    kept = set(HourFigures.objects.filter(hour__gte=hours[0]).values_list("hour", flat=True))
    return len(set(hours) - kept - _fresh(hours, kept, now, go_on, kept_only=True).keys())


def _fresh(
    hours: list[datetime],
    kept: Collection[datetime],
    now: datetime,
    go_on: Callable[[], bool],
    *,
    kept_only: bool = False,
) -> dict[datetime, Figures]:
    """The figures of the hours that are not kept, the latest first; those that are settled are kept from now on.

    `kept_only`: hours that are not settled are not summed up. They are empty in what is returned.
    """
    fresh = [hour for hour in hours if hour not in kept]
    if not fresh:
        return {}
    unsettled = {floor(at) for at in _open_since(fresh[0])}
    unsettled |= {hour for hour in fresh if hour + HOUR + GRACE > now}
    # Before the first session there is nothing to sum up, and nothing to keep.
    began = _began(now) if len(unsettled) < len(fresh) else fresh[0]
    found: dict[datetime, Figures] = {}
    for hour in reversed(fresh):
        if hour < began or (hour in unsettled and kept_only):
            found[hour] = Figures()
        elif hour in unsettled:
            found[hour] = figures_of(hour, now)
        elif go_on():
            found[hour] = figures_of(hour, now)
            # Another process may have been quicker.
            row = HourFigures(hour=hour, figures=asdict(found[hour]))
            HourFigures.objects.bulk_create([row], ignore_conflicts=True)
    return found


def forget(began: Iterable[datetime], now: datetime | None = None) -> None:
    """Something was written of ended sessions that began then: kept figures of their hours are no longer true."""
    now = now or timezone.now()
    old = {hour for hour in map(floor, began) if hour + HOUR + GRACE <= now}
    if old:
        HourFigures.objects.filter(hour__in=old).delete()


def _began(now: datetime) -> datetime:
    """The hour of the first session; `now` when there was none."""
    first: datetime | None = RealtimeSession.objects.aggregate(first=Min("started_at"))["first"]
    return now if first is None else floor(first)


def _open_since(since: datetime) -> Iterable[datetime]:
    return RealtimeSession.objects.active().filter(started_at__gte=since).values_list("started_at", flat=True)


def figures_of(start: datetime, now: datetime) -> Figures:
    """From the rows themselves: four questions, each answered by an index."""
    end = start + HOUR
    found = Figures()
    ends: Counter[str] = Counter()
    models: dict[str, list[Any]] = {}
    usd = Decimal(0)
    spans: list[tuple[datetime, datetime | None]] = []
    rows = RealtimeSession.objects.filter(started_at__gte=start, started_at__lt=end).values_list(
        *("started_at", "ended_at", "turns", "interruptions", "errors", "cost_usd", "cost_complete"),
        *("end_reason", "model"),
    )
    for began, over, turns, interruptions, errors, cost, complete, reason, model in rows:
        found.sessions += 1
        spans.append((began, over))
        if over is not None:
            found.seconds += max(0.0, (over - began).total_seconds())
        found.answers += turns
        found.interruptions += interruptions
        found.errored += errors > 0
        found.unpriced += not complete
        usd += cost
        if reason:
            ends[reason] += 1
        of_model = models.setdefault(model, [0, Decimal(0)])
        of_model[0] += 1
        of_model[1] += cost
    found.usd, found.ends = str(usd), dict(ends)
    found.models = {model: [count, str(cost)] for model, (count, cost) in models.items()}
    found.peak = peak_concurrency(spans + _running_at(start), min(end, now))
    latencies = Turn.objects.filter(
        created_at__gte=start, created_at__lt=end, response_latency_ms__isnull=False
    ).values_list("response_latency_ms", flat=True)
    found.latencies = dict(Counter(str((ms or 0) // LATENCY_STEP_MS * LATENCY_STEP_MS) for ms in latencies))
    if found.errored:
        found.errors = _errors(start, end)
    return found


def _running_at(at: datetime) -> list[tuple[datetime, datetime | None]]:
    """Sessions that began before and were still open; none is open for longer than it may be."""
    longest = timedelta(seconds=settings.REALTIME_MAX_SESSION_SEC + settings.REALTIME_LEASE_SEC)
    before = RealtimeSession.objects.filter(started_at__gte=at - longest, started_at__lt=at)
    return list(before.filter(Q(ended_at=None) | Q(ended_at__gt=at)).values_list("started_at", "ended_at"))


def _errors(start: datetime, end: datetime) -> dict[str, int]:
    # Events are found by their session: by name alone, all events would have to be looked at.
    errored = RealtimeSession.objects.filter(started_at__gte=start, started_at__lt=end, errors__gt=0)
    rows = SessionEvent.objects.filter(
        IS_ERROR,
        session__in=list(errored.values_list("pk", flat=True)),
    )
    codes = Counter(str(data.get("code") or name) for name, data in rows.values_list("name", "data"))
    return dict(codes.most_common(50))


def peak_concurrency(spans: Iterable[tuple[datetime, datetime | None]], now: datetime) -> int:
    """The most sessions that were open at once; an end of None counts as now."""
    open_until: list[datetime] = []
    peak = 0
    for start, end in sorted(spans, key=lambda span: span[0]):
        while open_until and open_until[0] <= start:
            heapq.heappop(open_until)
        heapq.heappush(open_until, end or now)
        peak = max(peak, len(open_until))
    return peak


def merged(parts: Iterable[Figures]) -> Figures:
    """All of them together."""
    whole = Figures()
    usd = Decimal(0)
    counters: dict[str, Counter[str]] = {name: Counter() for name in ("latencies", "errors", "ends")}
    models: dict[str, list[Any]] = {}
    for part in parts:
        for name in ("sessions", "seconds", "answers", "interruptions", "errored", "unpriced"):
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
        whole.peak = max(whole.peak, part.peak)
        usd += Decimal(part.usd)
        for name, counter in counters.items():
            counter.update(getattr(part, name))
        for model, (count, cost) in part.models.items():
            of_model = models.setdefault(model, [0, Decimal(0)])
            of_model[0] += count
            of_model[1] += Decimal(cost)
    whole.usd = str(usd)
    for name, counter in counters.items():
        setattr(whole, name, dict(counter))
    whole.models = {model: [count, str(cost)] for model, (count, cost) in models.items()}
    return whole


def latency_percentile(figures: Figures, share: float) -> int | None:
    """By the nearest rank, to the step below it, in ms; None when nothing was measured."""
    total = sum(figures.latencies.values())
    rank, seen = max(1, -int(-share * total // 1)), 0
    for ms, count in sorted((int(ms), count) for ms, count in figures.latencies.items()):
        seen += count
        if seen >= rank:
            return ms
    return None
