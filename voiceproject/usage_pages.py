"""The page of what one used: minutes and money drawn, and what is left of budgets. The numbers are in `used.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import ceil, log10
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from conversations.views import private_page
from realtime import budgets
from voiceproject.used import Used, used_by

WIDTH, HEIGHT = 600, 120  # of the drawing, in its own units
GAP = 0.3  # of a bar's place that stays empty


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: a rectangle in the drawing, and its number."""

    start: date
    value: float
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bars:
    """`top` is what the full height stands for: a round number that no bar is above."""

    top: float
    bars: list[Bar]


@require_safe
@private_page
def usage(request: HttpRequest) -> HttpResponse:
    """Context: `report`, `minutes` and `money` (drawings; `money` only when something cost money), `budgets`."""
    now = timezone.now()
    report = used_by(request.user, now)
    context = {
        "report": report,
        "minutes": drawn(report.days, lambda day: day.minutes),
        "money": drawn(report.days, lambda day: float(day.usd)) if any(d.usd for d in report.days) else None,
        "budgets": budgets.standings(cast(int, request.user.pk), now),
    }
    return render(request, "usage.html", context)


def drawn(days: list[Used], number: Callable[[Used], float]) -> Bars:
    """The days as bars from left to right."""
    top = round_above(max(map(number, days), default=0))
    step = WIDTH / len(days)
    bars = []
    for place, day in enumerate(days):
        value = number(day)
        height = max(1.5, HEIGHT * value / top) if value else 0.0
        bars.append(
            Bar(day.start, value, step * (place + GAP / 2), HEIGHT - height, step * (1 - GAP), height)
        )
    return Bars(top, bars)


def round_above(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 ... that is not below; 1 for nothing."""
    if value <= 0:
        return 1
    power = 10.0 ** ceil(log10(value) - 1)
    return next(round(step * power, 8) for step in (1, 2, 5, 10) if round(step * power, 8) >= round(value, 8))
