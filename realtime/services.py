"""The writes of the relay's own rows: the ends of sessions, and what the journal keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from conversations import services as conversations
from realtime import holds, hours, ledger, metrics, recordings, traces
from realtime.effects import (
    RecordAudio,
    RecordEnd,
    RecordEvent,
    RecordMessage,
    RecordTurn,
    RecordUsage,
    Release,
)
from realtime.journal import Entry
from realtime.models import ProbeRun, RealtimeSession, SessionEvent, Turn


def live_sessions() -> int:
    """How many sessions are live on the whole site."""
    return RealtimeSession.objects.active().filter(lease_until__gte=timezone.now()).count()


def latest_probe() -> ProbeRun | None:
    """The newest run of the probe."""
    return ProbeRun.objects.order_by("-pk").first()


def end_for_operator(session_ids: Iterable[UUID]) -> int:
    """End live sessions from outside their process, which hangs up when it next renews its leases; returns how many."""
    live = list(
        RealtimeSession.objects.active().filter(pk__in=list(session_ids)).values_list("pk", flat=True)
    )
    with transaction.atomic():
        for session_id in live:
            close_session(session_id=session_id, reason="operator", counters={})
    return len(live)


def close_unbegun(*, session_id: UUID, reason: str) -> None:
    """The token was spent and no relay came of it: end the row, and give back what was held for it."""
    with transaction.atomic():
        holds.release([session_id])
        close_session(session_id=session_id, reason=reason, counters={})


def close_session(*, session_id: UUID, reason: str, counters: dict[str, Any]) -> None:
    """Store the end of a session; the first reason stays."""
    if counters:
        RealtimeSession.objects.filter(pk=session_id).update(**counters)
    if (
        not RealtimeSession.objects.active()
        .filter(pk=session_id)
        .update(ended_at=timezone.now(), end_reason=reason[:40])
    ):
        return
    row = RealtimeSession.objects.get(pk=session_id)
    assert row.ended_at is not None
    length_s = (row.ended_at - row.started_at).total_seconds()
    count = partial(
        metrics.session_ended,
        row.end_reason,
        row.engine,
        length_s,
        browser=row.reconnects_browser,
        upstream=row.reconnects_upstream,
        dropped_ms=row.dropped_ms,
    )
    transaction.on_commit(count)
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        transaction.on_commit(partial(traces.session_ended, session_id))


# ---- what the journal keeps -----------------------------------------------------------------------------


def write_entries(entries: list[Entry]) -> list[str | None]:
    """Store a batch of the journal; returns the message id of each message record, None for the others."""
    rows = RealtimeSession.objects.select_for_update(no_key=True).only(
        "engine", "model", "conversation", "started_at", "ended_at"
    )
    # Locked in one order, as renewals do: each would wait for the other otherwise.
    wanted = {entry.session_id for entry in entries}
    sessions = {row.pk: row for row in rows.filter(pk__in=wanted).order_by("pk")}
    events: list[SessionEvent] = []
    ids = [
        _write_entry(entry, sessions[entry.session_id], events) if entry.session_id in sessions else None
        for entry in entries
    ]
    _add_events(events)
    hours.forget(session.started_at for session in sessions.values() if session.ended_at is not None)
    return ids


def _add_events(events: list[SessionEvent]) -> None:
    """Keep the events that are not kept yet: a spilled record may be replayed after it was stored."""
    keys = [event.key for event in events]
    kept = set(SessionEvent.objects.filter(key__in=keys).values_list("key", flat=True))
    fresh = {event.key: event for event in events if event.key not in kept}
    SessionEvent.objects.bulk_create(fresh.values())
    _count_errors(list(fresh.values()))


def _count_errors(events: list[SessionEvent]) -> None:
    """What went wrong upstream, onto the sessions' rows and into the metrics."""
    found = Counter(event.session_id for event in events if _is_error(event))
    for session_id, count in found.items():
        RealtimeSession.objects.filter(pk=session_id).update(errors=F("errors") + count)
    for event in events:
        if _is_error(event):
            code = str(event.data.get("code") or "unknown")
            transaction.on_commit(partial(metrics.upstream_error, code))


def _is_error(event: SessionEvent) -> bool:
    return event.name in hours.ERROR_EVENTS or (
        event.name == "response.done" and event.data.get("status") == "failed"
    )


def _write_turn(session_id: UUID, record: RecordTurn) -> None:
    """Keep a turn's timings; its latency counts when it is known for the first time."""
    # What is known stays known: a record that is replayed may be older than the row.
    values = {name: value for name, value in asdict(record).items() if value is not None}
    response_id = values.pop("response_id")
    late_ms = record.response_latency_ms
    if late_ms is not None:
        told = Turn.objects.filter(session_id=session_id, response_id=response_id).exclude(
            response_latency_ms=None
        )
        if not told.exists():
            transaction.on_commit(partial(metrics.turn_e2e_seconds.observe, late_ms / 1000))
            slower = Q(slowest_ms=None) | Q(slowest_ms__lt=late_ms)
            RealtimeSession.objects.filter(slower, pk=session_id).update(slowest_ms=late_ms)
    Turn.objects.update_or_create(session_id=session_id, response_id=response_id, defaults=values)


def _write_entry(entry: Entry, session: RealtimeSession, events: list[SessionEvent]) -> str | None:
    record = entry.record
    match record:
        case RecordMessage():
            if entry.conversation_id is None:
                return None
            facts = asdict(record)
            if record.audio_ms is not None and not recordings.exists(session.pk):
                facts["audio_ms"] = None  # it was deleted meanwhile
            message = conversations.record_message(
                conversation_id=entry.conversation_id, session_id=entry.session_id, **facts
            )
            return str(message.pk) if message else None
        case RecordEvent(at_ms, name, data):
            events.append(
                SessionEvent(
                    session_id=entry.session_id, at_ms=at_ms, name=name[:60], data=data, key=entry.key
                )
            )
        case RecordAudio():
            recordings.begin(session)
        case RecordTurn():
            _write_turn(entry.session_id, record)
        case RecordUsage():
            ledger.record_usage(
                session_id=session.pk, engine=session.engine, model=session.model, used=record
            )
        case Release(reference):
            holds.settle(entry.session_id, reference)
        case RecordEnd(reason, counters):
            holds.release([entry.session_id])  # its usage is stored: it came before
            close_session(session_id=entry.session_id, reason=reason, counters=counters)
    return None
