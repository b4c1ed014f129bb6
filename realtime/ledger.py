"""The ledger: usage rows with their price of the day, what a recalculation would change, totals and export.

A row is written once and never changed. The arithmetic is in `usage.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, DecimalField, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from realtime import holds, metrics
from realtime.effects import RecordUsage
from realtime.models import RateCard, RealtimeSession, UsageRecord
from realtime.usage import FREE_ENGINE, SESSION_TIME, Rate, Rates, cost_usd

PRICES = (
    *("text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out", "image_in"),
    *("image_cached", "per_minute", "session_per_minute"),
)
TOKENS = (
    *("text_in", "audio_in", "image_in", "cached_text", "cached_audio", "cached_image"),
    *("text_out", "audio_out", "reasoning_out"),
)
# What makes a spreadsheet take a text for a formula; the wide forms where the keyboard is East Asian.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
EXPORTED = (
    *("id", "created_at", "user", "session_id", "engine", "model", "meter", "reference"),
    *(*TOKENS, "seconds", "usd", "rate_card_id", "estimated"),
)


# ---- prices ---------------------------------------------------------------------------------------------


def rate_of(card: RateCard | None) -> Rate | None:
    """The prices of a card for the arithmetic."""
    return None if card is None else Rate(**{name: getattr(card, name) for name in PRICES})


def card_for(engine: str, model: str, at: datetime) -> RateCard | None:
    """The card of exactly this model that is valid at that time. Similar names are not guessed at."""
    cards = RateCard.objects.filter(engine=engine, model=model, valid_from__lte=at)
    return cards.order_by("-valid_from").first()


def rates_for(engine: str, *models: str) -> Rates:
    """What a session of this engine pays now, for its running cost."""
    if engine == FREE_ENGINE:
        return Rates(free=True)
    cards = RateCard.objects.filter(engine=engine, model__in=models, valid_from__lte=timezone.now())
    # In the order of their dates: the last of a model stays.
    rates = {card.model: rate_of(card) for card in cards.order_by("valid_from")}
    return Rates(by_model={model: rate for model, rate in rates.items() if rate is not None})


# ---- writing --------------------------------------------------------------------------------------------


@transaction.atomic(savepoint=False)
def charge(used: list[tuple[RealtimeSession, RecordUsage]]) -> None:
    """Keep what sessions used with its cost at this time, each once; the sessions' sums grow with it."""
    if not used:
        return
    holds.settle((session.pk, one.settles) for session, one in used)
    now = timezone.now()
    rows = UsageRecord.objects.filter(
        session__in={session.pk for session, _ in used}, reference__in={one.reference for _, one in used}
    )
    kept = set(rows.values_list("session_id", "meter", "reference"))
    cards: dict[tuple[str, str], RateCard | None] = {}
    new: list[UsageRecord] = []
    for session, one in used:
        key = (session.pk, one.meter, one.reference)
        if key in kept:
            continue
        kept.add(key)
        model, free = one.model or session.model, session.engine == FREE_ENGINE
        if not free and (session.engine, model) not in cards:
            cards[session.engine, model] = card_for(session.engine, model, now)
        card = None if free else cards[session.engine, model]
        usd = Decimal(0) if free else cost_usd(one, rate_of(card))
        new.append(
            UsageRecord(
                session=session,
                meter=one.meter,
                reference=one.reference,
                **{name: getattr(one, name) for name in (*TOKENS, "seconds")},
                model=model,
                estimated=one.estimated,
                usd=usd,
                rate_card=card if usd is not None else None,
            )
        )
        tokens = {name: getattr(one, name) for name in TOKENS}
        transaction.on_commit(partial(metrics.usage_recorded, tokens, usd, model))
    UsageRecord.objects.bulk_create(new)
    _add_up(new)


def _add_up(rows: list[UsageRecord]) -> None:
    """Add new rows to the sums of their sessions."""
    sums: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        change = sums.setdefault(row.session_id, {"cost_usd": Decimal(0)})
        if row.usd is None:
            change["cost_complete"] = False
        else:
            change["cost_usd"] += row.usd
    for session_id, change in sums.items():
        added = change.pop("cost_usd")
        if added:
            change["cost_usd"] = F("cost_usd") + added
        if change:
            RealtimeSession.objects.filter(pk=session_id).update(**change)


# ---- reading --------------------------------------------------------------------------------------------


def differences(rows: QuerySet[UsageRecord]) -> Iterator[tuple[UsageRecord, Decimal | None]]:
    """Rows that would cost something else by the cards as they are now, with that cost. Changes nothing."""
    cards: dict[tuple[str, str], list[RateCard]] = {}
    for card in RateCard.objects.order_by("-valid_from"):
        cards.setdefault((card.engine, card.model), []).append(card)
    for row in rows.select_related("session").order_by("pk").iterator(chunk_size=2_000):
        engine = row.session.engine
        if engine == FREE_ENGINE:
            now: Decimal | None = Decimal(0)
        else:
            valid = cards.get((engine, row.model), [])
            then = next((card for card in valid if card.valid_from <= row.created_at), None)
            now = cost_usd(row, rate_of(then))
        if now != row.usd:
            yield row, now


def totals(rows: QuerySet[UsageRecord], by: str) -> list[dict[str, Any]]:
    """Sums by "user", "model" or "day": name, rows, tokens, minutes, usd, and how many rows have no known price."""
    keys = {"user": F("session__user__username"), "model": F("model"), "day": TruncDate("created_at")}
    zero = Value(Decimal(0), output_field=DecimalField(max_digits=18, decimal_places=8))
    sums: Iterable[Any] = (
        rows.annotate(name=keys[by])
        .values("name")
        .annotate(
            rows=Count("pk"),
            unknown=Count("pk", filter=Q(usd=None)),
            total_usd=Coalesce(Sum("usd"), zero),
            minutes=Coalesce(Sum("seconds", filter=Q(meter=SESSION_TIME)), 0.0) / 60,
            **{f"sum_{name}": Sum(name) for name in TOKENS},
        )
        .order_by("name")
    )
    return list(sums)


def export(rows: QuerySet[UsageRecord], kind: str) -> Iterator[str]:
    """Lines of CSV (with a head) or JSON, one row each; `kind` is "csv" or "jsonl". Unknown prices are empty."""
    data = (_exported(row) for row in rows.select_related("session__user").order_by("pk").iterator(2_000))
    if kind == "jsonl":
        for row in data:
            yield json.dumps(row) + "\n"
        return
    yield csv_line(EXPORTED)
    for row in data:
        yield csv_line("" if row[name] is None else row[name] for name in EXPORTED)


def _exported(row: UsageRecord) -> dict[str, Any]:
    return {
        "id": row.pk,
        "created_at": row.created_at.isoformat(),
        "user": row.session.user.get_username(),
        "session_id": str(row.session_id),
        "engine": row.session.engine,
        **{name: getattr(row, name) for name in ("model", "meter", "reference", *TOKENS, "seconds")},
        "usd": None if row.usd is None else f"{row.usd:f}",  # not 0E-8
        "rate_card_id": row.rate_card_id,
        "estimated": row.estimated,
    }


def csv_line(values: Iterable[Any]) -> str:
    """One CSV line. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    line = io.StringIO()
    csv.writer(line).writerow(
        f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value for value in values
    )
    return line.getvalue()
