"""Holds: what is reserved of the budgets before it is used, and given back when it is settled. Over all processes.

Each session holds the most that its next answer can cost, one answer ahead, and the time of its call a minute ahead
(what to hold is decided in `allowance.py`). A hold is made under a lock on the budgets that bind the session, so
of many that reserve at once no more succeed than there is room for. It goes in the transaction that stores the usage it
was made for, with its session's end, or, after a crash, with the session's lease.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from realtime import budgets
from realtime.allowance import FIRST_ANSWER, STRETCH, STRETCH_S, Verdict, first_answer_usd, stretch_usd
from realtime.budgets import Wish
from realtime.conf import RelayConfig
from realtime.exceptions import Refused
from realtime.models import Hold, RealtimeSession
from realtime.usage import FREE_ENGINE


def first_wish(config: RelayConfig, user_id: int) -> Wish:
    """What a session needs to begin: its first answer, and a minute of its call."""
    voice, answer = config.modality == "voice", first_answer_usd(config)
    stretch = stretch_usd(config, STRETCH_S)
    usd = None if answer is None or stretch is None else answer + stretch
    paid = config.engine != FREE_ENGINE
    return Wish(user_id, voice=voice, paid=paid, usd=usd, seconds=STRETCH_S if voice else 0)


def open_with(session: RealtimeSession, config: RelayConfig) -> bool:
    """Hold what a new session needs, in the transaction that makes its row; whether a budget limits it.

    Raises Refused when there is no room.
    """
    wish = first_wish(config, session.user_id)
    binding = budgets.binding(wish, lock=True)
    if not binding:
        return False
    budgets.refuse_if_spent(wish, budgets=binding, instead_of=(session.pk, FIRST_ANSWER))
    Hold.objects.create(session=session, reference=FIRST_ANSWER, usd=first_answer_usd(config) or Decimal(0))
    if wish.voice:
        stretch = stretch_usd(config, STRETCH_S) or Decimal(0)
        Hold.objects.create(session=session, reference=STRETCH, usd=stretch, seconds=STRETCH_S)
    return True


def reserve(session_id: UUID, reference: str, usd: Decimal | None, seconds: int) -> Verdict:
    """Hold so much under this reference, instead of what it holds so far; nothing changes when it is refused.

    `usd` None: its price is not known, which a budget in money refuses.
    """
    session = RealtimeSession.objects.filter(pk=session_id).only("user_id", "modality", "engine").first()
    if session is None:
        return Verdict.REFUSED
    voice = session.modality == RealtimeSession.Modality.VOICE
    wish = Wish(session.user_id, voice=voice, paid=session.engine != FREE_ENGINE, usd=usd, seconds=seconds)
    if not budgets.binding(wish):
        return Verdict.UNLIMITED
    with transaction.atomic():
        binding = budgets.binding(wish, lock=True)
        if not RealtimeSession.objects.active().filter(pk=session_id).exists():
            return Verdict.REFUSED  # it ended meanwhile: nobody would give the hold back
        try:
            budgets.refuse_if_spent(wish, budgets=binding, instead_of=(session_id, reference))
        except Refused:
            return Verdict.REFUSED
        Hold.objects.update_or_create(
            session_id=session_id, reference=reference, defaults={"usd": usd or 0, "seconds": seconds}
        )
    return Verdict.GRANTED


def settle(settled: Iterable[tuple[UUID, str]]) -> None:
    """What sessions held under these references is charged, or came to nothing. Twice is as good as once."""
    theirs = [Q(session_id=session_id, reference=reference) for session_id, reference in settled if reference]
    if theirs:
        Hold.objects.filter(reduce(or_, theirs)).delete()


def release(session_ids: Iterable[UUID]) -> None:
    """The sessions are over and all that they used is stored: nothing is held for them any more."""
    Hold.objects.filter(session_id__in=list(session_ids)).delete()


def lost(now: datetime) -> QuerySet[Hold]:
    """What is held for sessions that had ended by then, and whose process was gone by then."""
    orphaned = Q(session__lease_until__lt=now) | Q(session__lease_until=None)
    return Hold.objects.filter(orphaned, session__ended_at__lte=now)


def release_lost(now: datetime) -> int:
    """Give that back; returns how many holds went."""
    with transaction.atomic():
        sessions = RealtimeSession.objects.filter(pk__in=lost(now).values("session"))
        sessions = sessions.select_for_update(
            no_key=True, skip_locked=True
        )  # who writes to one of them lives
        count, _ = Hold.objects.filter(session__in=list(sessions.values_list("pk", flat=True))).delete()
    return count
