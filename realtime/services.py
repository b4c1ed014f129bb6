"""The writes of the relay's own rows: the ends of sessions, and what the journal keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations import services as conversations
from conversations.services import Said
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

GUESSED = ("superseded", "lost")  # what a process calls the end of a session that another one has


def live_sessions() -> int:
    """How many sessions are live on the whole site."""
    return RealtimeSession.objects.active().filter(lease_until__gte=timezone.now()).count()


def latest_probe() -> ProbeRun | None:
    """The newest run of the probe."""
    return ProbeRun.objects.order_by("-pk").first()


def end_for_operator(session_ids: Iterable[UUID]) -> int:
    """End live sessions from outside their process, which hangs up when it next renews its leases; returns how many."""
    rows = RealtimeSession.objects.active().filter(pk__in=list(session_ids)).order_by("pk")
    with transaction.atomic():
        live = list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
        for session_id in live:
            close_session(session_id=session_id, reason="operator", counters={})
    return len(live)


def close_unbegun(*, session_id: UUID, reason: str) -> None:
    """The token was spent and no relay came of it: end the row, and give back what was held for it."""
    with transaction.atomic():
        _correct_a_guess(session_id, reason)
        close_session(session_id=session_id, reason=reason, counters={})
        holds.release([session_id])


def _correct_a_guess(session_id: UUID, reason: str) -> None:
    """The session's own process knows why it ended. Its page may be elsewhere, and supersede, before that is stored."""
    guessed = RealtimeSession.objects.filter(pk=session_id, end_reason__in=GUESSED)
    guessed.update(end_reason=reason[:40])


def close_session(*, session_id: UUID, reason: str, counters: dict[str, Any]) -> None:
    """Store the end of a session; the first reason stays.

    Except that of another process, which could only guess. Counters come from the session's own, which knows better.
    """
    if counters:
        RealtimeSession.objects.filter(pk=session_id).update(**counters)
        _correct_a_guess(session_id, reason)
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
# A batch of many sessions costs a few statements, not a few for each record: after the database was away, what waited
# has to be stored faster than more comes.


@transaction.atomic(savepoint=False)
def write_entries(entries: list[Entry]) -> list[str | None]:
    """Store a batch of the journal; returns the message id of each message record, None for the others."""
    rows = RealtimeSession.objects.select_for_update(no_key=True).only(
        "engine", "model", "conversation", "started_at", "ended_at", "slowest_ms"
    )
    # Locked in one order, as renewals do: each would wait for the other otherwise.
    wanted = {entry.session_id for entry in entries}
    sessions = {row.pk: row for row in rows.filter(pk__in=wanted).order_by("pk")}
    entries_of_sessions = [(entry, sessions.get(entry.session_id)) for entry in entries]
    events: list[SessionEvent] = []
    turns: list[tuple[RealtimeSession, RecordTurn]] = []
    used: list[tuple[RealtimeSession, RecordUsage]] = []
    settled: list[tuple[UUID, str]] = []
    ends: list[tuple[RealtimeSession, RecordEnd]] = []
    for entry, session in entries_of_sessions:
        if session is None:
            continue
        match entry.record:
            case RecordEvent(at_ms, name, data):
                events.append(
                    SessionEvent(session=session, at_ms=at_ms, name=name[:60], data=data, key=entry.key)
                )
            case RecordAudio():
                recordings.begin(session)
            case RecordTurn() as turn:
                turns.append((session, turn))
            case RecordUsage() as usage:
                used.append((session, usage))
            case Release(reference):
                settled.append((session.pk, reference))
            case RecordEnd() as end:
                ends.append((session, end))
    ids = _write_messages(entries_of_sessions)
    _write_turns(turns)
    holds.settle(settled)
    ledger.charge(used)
    _add_events(events)
    for session, end in ends:
        holds.release([session.pk])  # its usage is stored by now
        close_session(session_id=session.pk, reason=end.reason, counters=end.counters)
    hours.forget(session.started_at for session in sessions.values() if session.ended_at is not None)
    return ids


def _facts(record: RecordMessage | RecordTurn) -> dict[str, Any]:
    """The record's fields. They are plain values: `asdict` would copy each of them, which costs as much as storing."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _write_messages(entries: list[tuple[Entry, RealtimeSession | None]]) -> list[str | None]:
    """Store the messages among the entries; returns the message's id for each of those, None for the others."""
    said: dict[int, Said] = {}
    recorded = {
        session.pk
        for entry, session in entries
        if session is not None
        and isinstance(entry.record, RecordMessage)
        and entry.record.audio_ms is not None
    }
    recorded &= recordings.existing(recorded) if recorded else set()
    for index, (entry, session) in enumerate(entries):
        if session is None or entry.conversation_id is None or not isinstance(entry.record, RecordMessage):
            continue
        facts = _facts(entry.record)
        if session.pk not in recorded:
            facts["audio_ms"] = None  # it was deleted meanwhile
        said[index] = Said(conversation_id=entry.conversation_id, session_id=session.pk, **facts)
    stored = dict(zip(said, conversations.record_messages(list(said.values())), strict=True))
    messages = [stored.get(index) for index in range(len(entries))]
    return [None if message is None else str(message.pk) for message in messages]


def _add_events(events: list[SessionEvent]) -> None:
    """Keep the events that are not kept yet: a spilled record may be replayed after it was stored."""
    if not events:
        return
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


def _write_turns(records: list[tuple[RealtimeSession, RecordTurn]]) -> None:
    """Keep the timings of turns, the later of a turn's records over the earlier; a latency counts once."""
    if not records:
        return
    references = {(session.pk, record.response_id) for session, record in records}
    rows = Turn.objects.filter(
        session__in={session_id for session_id, _ in references},
        response_id__in={response_id for _, response_id in references},
    )
    turns = {(row.session_id, row.response_id): row for row in rows}
    new: list[Turn] = []
    changed: dict[int, tuple[Turn, set[str]]] = {}
    slower: dict[UUID, int] = {}
    for session, record in records:
        # What is known stays known: a record that is replayed may be older than the row.
        values = {name: value for name, value in _facts(record).items() if value is not None}
        turn = turns.get((session.pk, record.response_id))
        late_ms = record.response_latency_ms
        if late_ms is not None and (turn is None or turn.response_latency_ms is None):
            transaction.on_commit(partial(metrics.turn_e2e_seconds.observe, late_ms / 1000))
            if session.slowest_ms is None or session.slowest_ms < late_ms:
                session.slowest_ms = slower[session.pk] = late_ms
        if turn is None:
            turn = turns[session.pk, record.response_id] = Turn(session=session, **values)
            new.append(turn)
            continue
        different = {name for name, value in values.items() if getattr(turn, name) != value}
        for name in different:
            setattr(turn, name, values[name])
        if turn.pk is not None and different:
            changed.setdefault(turn.pk, (turn, set()))[1].update(different)
    Turn.objects.bulk_create(new)
    for turn, names in changed.values():
        turn.save(update_fields=names)
    for session_id, late_ms in slower.items():
        RealtimeSession.objects.filter(pk=session_id).update(slowest_ms=late_ms)
