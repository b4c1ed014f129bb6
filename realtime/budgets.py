"""Minutes and money: what each person and the site may use a day and a month, and how much of it is used. No sockets.

What is used is counted from the sessions and what is held for them (see `holds.py`); nothing is counted twice in
another table that could drift away. Whoever reserves does it under a lock on the budgets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, Max, Q, Sum
from django.db.models.functions import Greatest
from django.utils import timezone

from realtime.exceptions import Refused
from realtime.models import Budget, Hold, RealtimeSession, UsageRecord
from realtime.usage import FREE_ENGINE

SPENT = 100
SENTENCE = "Your budget for calls is used up for now. Ask the administrator if you need more."
UNPRICED = (
    "Voice is not available: there is a budget in money, and the price of the model is not known. "
    "Ask the administrator to enter it."
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What something may use at most. `usd` None: its price is not known. `seconds`: of a voice session, in all."""

    user_id: int
    voice: bool
    paid: bool
    usd: Decimal | None = Decimal(0)
    seconds: int = 0


def binding(wish: Wish, *, lock: bool = False) -> list[Budget]:
    """The budgets that limit such a thing. `lock`: inside a transaction, nobody else reserves until its end."""
    budgets = Budget.objects.select_for_update() if lock else Budget.objects.all()
    found = list(budgets.filter(Q(user=None) | Q(user=wish.user_id)).order_by("pk"))
    return [
        budget
        for budget in _of(found, wish.user_id)
        if (budget.minutes is not None and wish.voice) or (budget.usd is not None and wish.paid)
    ]


def lock(user_id: int) -> None:
    """Nobody else reserves of the site's budgets or of this person's until the transaction under way ends."""
    rows = Budget.objects.select_for_update().filter(Q(user=None) | Q(user=user_id)).order_by("pk")
    list(rows.values_list("pk", flat=True))


def refuse_if_spent(
    wish: Wish, *, budgets: list[Budget] | None = None, instead_of: tuple[UUID, str] | None = None
) -> None:
    """Raise Refused unless every budget has room. `instead_of`: a session's hold that the wish takes the place of."""
    now = timezone.now()
    for budget in binding(wish) if budgets is None else budgets:
        if budget.minutes is not None and wish.voice and wish.seconds:
            session_id = instead_of[0] if instead_of else None
            used_s = _seconds(budget, wish.user_id, now, without=session_id, held=True)
            if used_s + wish.seconds > budget.minutes * 60:
                raise _refusal(budget, now)
        if budget.usd is None or not wish.paid:
            continue
        if wish.usd is None:
            raise Refused(503, "limit.price_unknown", UNPRICED)
        # What is held is read before what was charged: what settles in between counts twice, never not at all.
        held = _held_usd(budget, wish.user_id, instead_of)
        if held + _usd(budget, wish.user_id, now) + wish.usd > budget.usd:
            raise _refusal(budget, now)


def used_percent(session_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How much of its tightest budget is used, for each open session; none for sessions without a budget.

    Counts what is really used, not what is held.
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


def used(budget: Budget, now: datetime) -> tuple[float, Decimal]:
    """Minutes and USD that were really used of a budget of one person or of the site since its period began."""
    user_id = budget.user_id or 0  # not asked about for the site's
    return _seconds(budget, user_id, now) / 60, _usd(budget, user_id, now)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands for one person. What is left is None without a limit; of the site's, only the share."""

    of_day: bool  # else of a month
    for_site: bool
    percent: int  # used, of the tighter of its limits
    resets_at: datetime
    minutes: int | None = None
    minutes_left: float | None = None
    usd: Decimal | None = None
    usd_left: Decimal | None = None


def standings(user_id: int, now: datetime) -> list[Standing]:
    """The budgets that bind this person, those of a day first, with what is really used so far."""
    found = []
    for budget in sorted(_of(list(Budget.objects.all()), user_id), key=lambda one: one.period):
        for_site = budget.scope == Budget.Scope.SITE
        minutes = None if for_site else budget.minutes
        usd = None if for_site else budget.usd
        found.append(
            Standing(
                of_day=budget.period == Budget.Period.DAY,
                for_site=for_site,
                percent=min(SPENT, _percent(budget, user_id, now)),
                resets_at=_resets_at(budget, now),
                minutes=minutes,
                minutes_left=None
                if minutes is None
                else max(0.0, minutes - _seconds(budget, user_id, now) / 60),
                usd=usd,
                usd_left=None if usd is None else max(Decimal(0), usd - _usd(budget, user_id, now)),
            )
        )
    return found


def _percent(budget: Budget, user_id: int, now: datetime) -> int:
    shares = [0]
    if budget.minutes is not None:
        used_s = _seconds(budget, user_id, now)
        shares.append(int(used_s * 100 / (budget.minutes * 60)) if budget.minutes else SPENT)
    if budget.usd is not None:
        used_usd = _usd(budget, user_id, now)
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


def _whose(budget: Budget, user_id: int, prefix: str = "") -> Q:
    return Q() if budget.scope == Budget.Scope.SITE else Q(**{f"{prefix}user_id": user_id})


def _seconds(
    budget: Budget, user_id: int, now: datetime, *, without: UUID | None = None, held: bool = False
) -> float:
    """Voice time since the period began, also that of sessions that began before it. `held`: with what is reserved."""
    since = _since(budget, now)
    voice = RealtimeSession.objects.filter(_whose(budget, user_id), modality=RealtimeSession.Modality.VOICE)
    if without is not None:
        voice = voice.exclude(pk=without)
    took = ExpressionWrapper(F("ended_at") - Greatest("started_at", since), output_field=DurationField())
    ended: timedelta = voice.filter(ended_at__gte=since).aggregate(sum=Sum(took))["sum"] or timedelta()
    seconds = ended.total_seconds()
    open_ones = voice.active().annotate(held_s=Max("holds__seconds"))
    for started_at, held_s in open_ones.values_list("started_at", "held_s"):
        lasts_until = max(now, started_at + timedelta(seconds=held_s or 0)) if held else now
        seconds += (lasts_until - max(started_at, since)).total_seconds()
    return seconds


def _usd(budget: Budget, user_id: int, now: datetime) -> Decimal:
    """What was charged since the period began."""
    since = _since(budget, now)
    paid = RealtimeSession.objects.filter(_whose(budget, user_id)).exclude(engine=FREE_ENGINE)
    cost: Decimal = paid.filter(started_at__gte=since).aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0)
    # Of sessions that began before the period, what was charged in it.
    earlier = paid.filter(Q(ended_at=None) | Q(ended_at__gte=since), started_at__lt=since)
    rows = UsageRecord.objects.filter(session__in=earlier, created_at__gte=since)
    return cost + (rows.aggregate(sum=Sum("usd"))["sum"] or Decimal(0))


def _held_usd(budget: Budget, user_id: int, without: tuple[UUID, str] | None) -> Decimal:
    holds = Hold.objects.filter(_whose(budget, user_id, "session__"))
    if without is not None:
        holds = holds.exclude(session_id=without[0], reference=without[1])
    held: Decimal = holds.aggregate(sum=Sum("usd"))["sum"] or Decimal(0)
    return held


def _refusal(budget: Budget, now: datetime) -> Refused:
    wait_s = int((_resets_at(budget, now) - now).total_seconds()) + 1
    return Refused(429, "limit.budget", SENTENCE, retry_after_s=wait_s)


def _resets_at(budget: Budget, now: datetime) -> datetime:
    start = _since(budget, now)
    if budget.period == Budget.Period.DAY:
        return start + timedelta(days=1)
    return (start + timedelta(days=32)).replace(day=1)
