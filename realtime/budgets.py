"""Minutes and money: what each person and the site may use a day and a month, and how much of it is used. No sockets.

A session's row is its own reservation: while it is open it counts its time so far plus RESERVED_S, and its cost so
far plus RESERVED_USD. The row is made in the transaction that checks, under a lock on the budgets, so sessions that
start at once cannot all see the same rest. When it has ended it counts what it took.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, Q, Sum
from django.utils import timezone

from realtime.exceptions import Refused
from realtime.models import Budget, RealtimeSession, RealtimeSessionQuerySet
from realtime.usage import FREE_ENGINE

RESERVED_S = 60  # longer than two looks at the open sessions, which come every 10 s
RESERVED_USD = Decimal("0.25")  # above what one answer of 2,048 tokens of speech costs
SPENT = 100
SENTENCE = "Your budget for calls is used up for now. Ask the administrator if you need more."


def refuse_if_spent(user: Any, *, modality: str, engine: str, lock: bool = False) -> None:
    """Raise Refused unless there is room for one more session of this kind. `lock`: inside the opening transaction."""
    budgets = Budget.objects.select_for_update() if lock else Budget.objects.all()
    now = timezone.now()
    for budget in _of(list(budgets.filter(Q(user=None) | Q(user=user))), user.pk):
        minutes = budget.minutes is not None and modality == RealtimeSession.Modality.VOICE
        if minutes and _seconds(budget, user.pk, now) + RESERVED_S > (budget.minutes or 0) * 60:
            raise _refusal(budget, now)
        if budget.usd is None or engine == FREE_ENGINE:
            continue
        if _usd(budget, user.pk, now) + RESERVED_USD > budget.usd:
            raise _refusal(budget, now)


def used_percent(session_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How much of its tightest budget is used, for each open session; none for sessions without a budget.

    Counts what is really used, not what is reserved: a session that is open may use what it reserved.
    """
    budgets = list(Budget.objects.all())
    if not budgets:
        return {}
    now = timezone.now()
    found: dict[UUID, int] = {}
    cache: dict[tuple[int, int | None], int] = {}
    for session in RealtimeSession.objects.active().filter(pk__in=list(session_ids)):
        shares = []
        for budget in _of(budgets, session.user_id):
            key = (budget.pk, None if budget.scope == Budget.Scope.SITE else session.user_id)
            if key not in cache:
                cache[key] = _percent(budget, session.user_id, now)
            shares.append(cache[key])
        if shares:
            found[session.pk] = max(shares)
    return found


def _percent(budget: Budget, user_id: int, now: datetime) -> int:
    shares = [0]
    if budget.minutes is not None:
        used_s = _seconds(budget, user_id, now, reserved_s=0)
        shares.append(int(used_s * 100 / (budget.minutes * 60)) if budget.minutes else SPENT)
    if budget.usd is not None:
        used_usd = _usd(budget, user_id, now, reserved_usd=Decimal(0))
        shares.append(int(used_usd * 100 / budget.usd) if budget.usd else SPENT)
    return max(shares)


def _of(budgets: list[Budget], user_id: int) -> list[Budget]:
    """Those that bind a person: the site's, and the person's own or else those of each."""
    own = [budget for budget in budgets if budget.user_id == user_id]
    periods = {budget.period for budget in own}
    general = [
        budget
        for budget in budgets
        if budget.scope == Budget.Scope.SITE
        or (budget.scope == Budget.Scope.EACH and budget.period not in periods)
    ]
    return own + general


def _since(budget: Budget, now: datetime) -> datetime:
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return today if budget.period == Budget.Period.DAY else today.replace(day=1)


def _sessions(budget: Budget, user_id: int, now: datetime) -> RealtimeSessionQuerySet:
    sessions: RealtimeSessionQuerySet = RealtimeSession.objects.filter(started_at__gte=_since(budget, now))
    return sessions if budget.scope == Budget.Scope.SITE else sessions.filter(user_id=user_id)


def _seconds(budget: Budget, user_id: int, now: datetime, *, reserved_s: int = RESERVED_S) -> float:
    spoken = _sessions(budget, user_id, now).filter(modality=RealtimeSession.Modality.VOICE)
    took = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    ended: timedelta = spoken.exclude(ended_at=None).aggregate(sum=Sum(took))["sum"] or timedelta()
    open_s = sum(
        (now - started_at).total_seconds() + reserved_s
        for started_at in spoken.active().values_list("started_at", flat=True)
    )
    return ended.total_seconds() + open_s


def _usd(budget: Budget, user_id: int, now: datetime, *, reserved_usd: Decimal = RESERVED_USD) -> Decimal:
    paid = _sessions(budget, user_id, now).exclude(engine=FREE_ENGINE)
    cost: Decimal = paid.aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0)
    return cost + reserved_usd * paid.active().count()


def _refusal(budget: Budget, now: datetime) -> Refused:
    start = _since(budget, now)
    step = timedelta(days=1) if budget.period == Budget.Period.DAY else timedelta(days=32)
    following = start + step
    if budget.period == Budget.Period.MONTH:
        following = following.replace(day=1)
    return Refused(429, "limit.budget", SENTENCE, retry_after_s=int((following - now).total_seconds()) + 1)
