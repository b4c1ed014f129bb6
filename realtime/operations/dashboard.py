"""The dashboard's figures over a day, a week or a month, and their charts as shapes. Reads rows, draws no HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from realtime import hours, services
from realtime.hours import Figures, latency_percentile

PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
CHART_WIDTH_PX, CHART_HEIGHT_PX = 460.0, 120.0
MOST_ROWS = 12


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, in px; `title` names its time and value."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over the period, with the largest value and the first and last time as texts."""

    title: str
    bars: list[Bar]
    most: str
    first: str
    last: str


def dashboard(
    period: str, now: datetime | None = None, go_on: Callable[[], bool] = lambda: True
) -> dict[str, Any]:
    """Figures and charts from the beginning of the hour that lies a period before `now`; an unknown one is a day.

    "left" says how many hours are missing, because `go_on` said no before they were summed up.
    """
    period = period if period in PERIODS else "day"
    now = now or timezone.now()
    since = now - PERIODS[period]
    by_hour = hours.between(since, now, go_on)
    all_hours = hours.hours_of(since, now)
    form = "%Y-%m-%d %H:00" if period == "day" else "%Y-%m-%d"
    buckets = _buckets({hour: by_hour.get(hour, Figures()) for hour in all_hours}, form)
    whole = hours.merged(buckets.values())
    models = sorted(whole.models.items(), key=lambda row: Decimal(row[1][1]), reverse=True)
    return {
        "period": period,
        "periods": [("day", _("Last day")), ("week", _("Last week")), ("month", _("Last month"))],
        "sums": whole,
        "live": services.live_sessions(),
        "usd": Decimal(whole.usd),
        "minutes": round(whole.seconds / 60),
        "latency": {
            name: latency_percentile(whole, share)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        "answers_measured": sum(whole.latencies.values()),
        "errors": Counter(whole.errors).most_common(MOST_ROWS),
        "ends": Counter(whole.ends).most_common(MOST_ROWS),
        "models": [(model, count, Decimal(usd)) for model, (count, usd) in models[:MOST_ROWS]],
        "charts": _charts(buckets),
        "left": len(all_hours) - len(by_hour),
    }


def _buckets(by_hour: dict[datetime, Figures], form: str) -> dict[str, Figures]:
    """By hour or by day of the site's time zone, oldest first."""
    parts: dict[str, list[Figures]] = {}
    for hour, figures in by_hour.items():
        parts.setdefault(timezone.localtime(hour).strftime(form), []).append(figures)
    return {name: hours.merged(figures) for name, figures in parts.items()}


def _charts(buckets: dict[str, Figures]) -> list[Chart]:
    names, figures = list(buckets), list(buckets.values())
    return [
        chart(_("Sessions"), names, [float(one.sessions) for one in figures], "{:.0f}"),
        chart(_("Most at once"), names, [float(one.peak) for one in figures], "{:.0f}"),
        chart(_("Cost, USD"), names, [float(one.usd) for one in figures], "{:.4f}"),
        chart(
            _("Slowest 5 % of answers, ms"),
            names,
            [float(latency_percentile(one, 0.95) or 0) for one in figures],
            "{:.0f}",
        ),
    ]


def chart(title: str, names: list[str], values: list[float], form: str, widest_px: float = 40.0) -> Chart:
    """Bars side by side, the highest as high as the chart; `names` and `values` go together, `form` writes a value."""
    most = max(values, default=0.0)
    step = CHART_WIDTH_PX / max(1, len(names))
    bars = []
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        height = CHART_HEIGHT_PX * value / most if most else 0.0
        bars.append(
            Bar(
                round(index * step, 1),
                round(CHART_HEIGHT_PX - height, 1),
                round(min(widest_px, step * 0.8), 1),
                round(height, 1),
                f"{name}: {form.format(value)}",
            )
        )
    return Chart(title, bars, form.format(most), names[0] if names else "", names[-1] if names else "")
