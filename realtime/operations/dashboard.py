"""The dashboard's figures over a day, a week or a month, and their charts as shapes. Reads rows, draws no HTML."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, Sum
from django.utils import timezone

from realtime.models import RealtimeSession, SessionEvent, Turn
from realtime.percentiles import percentile
from realtime.services import ERROR_EVENTS

PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
NEWEST = 10_000  # rows that percentiles and concurrency look at
ERRORED = 500  # sessions whose errors are counted by code
KEPT_S = 60
CHART_WIDTH_PX, CHART_HEIGHT_PX = 460.0, 120.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, in px; `title` names its time and value."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over the period, with the largest value and the first and last time as texts."""

    title: str
    bars: list[Bar]
    most: str
    first: str
    last: str


def dashboard(period: str, now: datetime | None = None) -> dict[str, Any]:
    """Figures and charts since `now` minus the period; an unknown period is a day."""
    period = period if period in PERIODS else "day"
    now = now or timezone.now()
    since = now - PERIODS[period]
    sessions = RealtimeSession.objects.filter(started_at__gte=since)
    length = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    sums = sessions.aggregate(
        count=Count("pk"),
        length=Sum(length),
        interruptions=Sum("interruptions"),
        answers=Sum("turns"),
        cost=Sum("cost_usd"),
        errored=Count("pk", filter=Q(errors__gt=0)),
        unpriced=Count("pk", filter=Q(cost_complete=False)),
        live=Count("pk", filter=Q(ended_at=None, lease_until__gte=now)),
    )
    late = list(
        Turn.objects.filter(created_at__gte=since, response_latency_ms__isnull=False)
        .order_by("-created_at")
        .values_list("created_at", "response_latency_ms")[:NEWEST]
    )
    latencies = [ms for _at, ms in late if ms is not None]
    return {
        "period": period,
        "periods": list(PERIODS),
        "sums": sums,
        "minutes": round((sums["length"] or timedelta()).total_seconds() / 60),
        "latency": {
            name: percentile(latencies, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        "answers_measured": len(latencies),
        "peak": peak_concurrency(
            sessions.order_by("-started_at").values_list("started_at", "ended_at")[:NEWEST], now
        ),
        "errors": _errors(since),
        "ends": list(
            sessions.exclude(end_reason="")
            .values("end_reason")
            .annotate(count=Count("pk"))
            .order_by("-count")[:12]
        ),
        "newest": NEWEST,
        "errored": ERRORED,
        "charts": _charts(period, since, now, late),
    }


def peak_concurrency(spans: Any, now: datetime) -> int:
    """The most sessions that were open at once; an end of None counts as now."""
    open_until: list[datetime] = []
    peak = 0
    for start, end in sorted(spans, key=lambda span: span[0]):
        while open_until and open_until[0] <= start:
            heapq.heappop(open_until)
        heapq.heappush(open_until, end or now)
        peak = max(peak, len(open_until))
    return peak


def _errors(since: datetime) -> list[tuple[str, int]]:
    # In two steps, so that the events are found by their session and not by looking at all of them.
    errored = RealtimeSession.objects.filter(errors__gt=0, started_at__gte=since).order_by("-started_at")
    rows = SessionEvent.objects.filter(
        Q(name__in=ERROR_EVENTS) | Q(name="response.done", data__status="failed"),
        session__in=list(errored.values_list("pk", flat=True)[:ERRORED]),
    )
    codes = Counter(str(data.get("code") or name) for name, data in rows.values_list("name", "data")[:NEWEST])
    return codes.most_common(12)


def _charts(
    period: str, since: datetime, now: datetime, late: list[tuple[datetime, int | None]]
) -> list[Chart]:
    by_hour = period == "day"
    slow: dict[str, list[int]] = {}
    for at, ms in late:
        slow.setdefault(_key(timezone.localtime(at), by_hour), []).append(ms or 0)
    names, counts, costs = [], [], []
    for start, end in _buckets(timezone.localtime(since), timezone.localtime(now), by_hour):
        # A question per bucket finds its rows by the index; grouping by a truncated date would look at each row.
        sums = RealtimeSession.objects.filter(started_at__gte=start, started_at__lt=end).aggregate(
            count=Count("pk"), cost=Sum("cost_usd")
        )
        names.append(_key(start, by_hour))
        counts.append(float(sums["count"]))
        costs.append(float(sums["cost"] or 0))
    return [
        _chart("Sessions", names, counts, "{:.0f}"),
        _chart("Cost, USD", names, costs, "{:.4f}"),
        _chart(
            "Slowest 5 % of answers, ms",
            names,
            [percentile(slow.get(name, []), 0.95) or 0.0 for name in names],
            "{:.0f}",
        ),
    ]


def _buckets(since: datetime, now: datetime, by_hour: bool) -> list[tuple[datetime, datetime]]:
    """The hours or days of the period, oldest first; the first one begins in its middle, the last ends after now."""
    found = []
    start = since
    while start <= now:
        whole = start.replace(minute=0, second=0, microsecond=0)
        end = whole + timedelta(hours=1) if by_hour else whole.replace(hour=0) + timedelta(days=1)
        found.append((start, end))
        start = end
    return found


def _key(at: Any, by_hour: bool) -> str:
    return at.strftime("%Y-%m-%d %H:00") if by_hour else at.strftime("%Y-%m-%d")


def _chart(title: str, buckets: list[str], values: list[float], form: str) -> Chart:
    most = max(values, default=0.0)
    width = CHART_WIDTH_PX / max(1, len(buckets))
    bars = []
    for index, (bucket, value) in enumerate(zip(buckets, values, strict=True)):
        height = CHART_HEIGHT_PX * value / most if most else 0.0
        text = f"{bucket}: {form.format(value)}"
        bars.append(
            Bar(
                round(index * width, 1),
                round(CHART_HEIGHT_PX - height, 1),
                round(width * 0.8, 1),
                round(height, 1),
                text,
            )
        )
    return Chart(
        title, bars, form.format(most), buckets[0] if buckets else "", buckets[-1] if buckets else ""
    )
