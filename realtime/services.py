"""The writes of the relay's own rows: minting and redeeming tokens, leases, ends, and what the journal keeps."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation, ConversationQuerySet, Message, Preferences
from realtime import (
    access,
    budgets,
    holds,
    hours,
    ledger,
    metrics,
    ownership,
    recordings,
    tokens,
    tools,
    traces,
)
from realtime.conf import RelayConfig, Seed, relay_config
from realtime.effects import (
    RecordAudio,
    RecordEnd,
    RecordEvent,
    RecordMessage,
    RecordTurn,
    RecordUsage,
    Release,
)
from realtime.exceptions import Refused
from realtime.journal import Entry
from realtime.models import ProbeRun, RealtimeSession, SessionEvent, Turn, UsedToken
from realtime.user_agents import browser_of, device_of

TOKEN_MEMORY = timedelta(hours=1)  # a token lives 5 minutes: after this its id can only be offered in vain
REAP_AT_ONCE = 500
HISTORY_MESSAGES = 40
LOW_DISK_S = 300
HISTORY_CHARS = 8_000  # about 2,000 tokens


@dataclass(frozen=True, slots=True)
class Mint:
    """A granted session: what the mint's answer holds, apart from the address."""

    session_id: UUID
    conversation_id: UUID
    token: str
    expires_at: datetime
    resumed: bool
    config: RelayConfig


@dataclass(frozen=True, slots=True)
class Opening:
    """A redeemed token: everything that a relay needs to start or to be found again."""

    session_id: UUID
    conversation_id: UUID
    user_id: int
    resumed: bool
    config: RelayConfig
    superseded: int = 0  # sessions of this conversation that other processes have to end


# ---- mint -----------------------------------------------------------------------------------------------


def mint(
    *,
    user: Any,
    origin: str,
    conversation_id: UUID | None = None,
    modality: str = "voice",
    resume_session_id: UUID | None = None,
    login_key: str = "",
) -> Mint:
    """Grant a session token. Raises Refused with the HTTP status and the sentence for the person.

    `login_key` is the key of the login's cookie session: the session ends with it. Empty for programs.
    """
    if not settings.REALTIME_ENABLED:
        raise Refused(503, "voice.disabled", "Voice is switched off on this site.")
    if not configured():
        raise Refused(
            503,
            "voice.not_configured",
            "Voice is not set up on this site yet. The administrator can fix this.",
        )
    resumed = _resumable(user, resume_session_id)
    if resumed is not None:
        session_id, modality = resumed.id, resumed.modality
        conversation = resumed.conversation
    else:
        _check_space()
        conversation = _conversation_for(user, conversation_id, resume_session_id)
        _check_limits(user, conversation, modality)
        budgets.refuse_if_spent(holds.first_wish(config_for(user, modality), user.pk))
        session_id = uuid4()
    assert conversation is not None
    now = int(time.time())
    expires = now + settings.REALTIME_TOKEN_EXPIRY_SEC
    token = tokens.SessionToken(
        jti=tokens.new_jti(),
        session_id=str(session_id),
        user_id=user.pk,
        conversation_id=str(conversation.pk),
        modality=modality,
        origin=origin,
        auth_hash=auth_fingerprint(user),
        resume=resumed is not None,
        iat=now,
        exp=expires,
        login=access.login_mark(login_key),
    )
    return Mint(
        session_id=session_id,
        conversation_id=conversation.pk,
        token=tokens.encode(token),
        expires_at=datetime.fromtimestamp(expires, tz=timezone.get_current_timezone()),
        resumed=resumed is not None,
        config=config_for(user, modality),
    )


def _check_space() -> None:
    """Refuse new sessions while a talk could not be stored; those that go on may use what is left."""
    if shutil.disk_usage(settings.DATA_DIR).free < settings.REALTIME_MIN_FREE_MB * 2**20:
        sentence = "The site is short of space. Ask the administrator."
        raise Refused(503, "busy.disk", sentence, retry_after_s=LOW_DISK_S)


def configured() -> bool:
    """Whether there is an upstream to talk to: a key, or a server on this machine that needs none."""
    return bool(settings.OPENAI_API_KEY) or relay_config(settings).is_local


def auth_fingerprint(user: Any) -> str:
    """Changes with the person's password: sessions and tokens made before a change are over."""
    return hashlib.sha256(user.get_session_auth_hash().encode()).hexdigest()[:32]


def _resumable(user: Any, session_id: UUID | None) -> RealtimeSession | None:
    if session_id is None:
        return None
    found = RealtimeSession.objects.active().filter(pk=session_id, user=user, lease_until__gte=timezone.now())
    session = found.select_related("conversation").first()
    return session if session is not None and session.conversation is not None else None


def _conversation_for(
    user: Any, conversation_id: UUID | None, resume_session_id: UUID | None
) -> Conversation:
    mine = Conversation.objects.owned_by(user)
    if conversation_id is not None:
        conversation = mine.filter(pk=conversation_id).first()
        if conversation is None:
            raise Refused(404, "conversation.not_found", "This conversation does not exist.")
        return conversation
    if resume_session_id is not None:
        conversation = mine.filter(realtime_sessions__pk=resume_session_id).first()
        if conversation is not None:
            return conversation
    return _empty_conversation(user, mine) or conversations.create_conversation(owner=user)


def _empty_conversation(user: Any, mine: ConversationQuerySet) -> Conversation | None:
    """One that an attempt without a word left behind. It is claimed by its time: no other mint takes it too."""
    now = timezone.now()
    untouched = now - timedelta(
        seconds=settings.REALTIME_TOKEN_EXPIRY_SEC
    )  # no token for it can still be spent
    ended = mine.filter(realtime_sessions__isnull=False).exclude(realtime_sessions__ended_at=None)
    keep = Preferences.of(user).keep  # what was chosen for another one must not come with it
    found = ended.filter(
        messages=None, archived_at=None, title="", updated_at__lt=untouched, keep=keep
    ).first()
    if found is None:
        return None
    claimed = Conversation.objects.filter(pk=found.pk, updated_at=found.updated_at).update(updated_at=now)
    return found if claimed else None


def _check_limits(user: Any, conversation: Conversation, modality: str) -> None:
    """Concurrent voice sessions. One in the same conversation does not count: the new one takes its place."""
    if modality != RealtimeSession.Modality.VOICE:
        return
    live = RealtimeSession.objects.active().filter(modality=modality, lease_until__gte=timezone.now())
    live = live.exclude(conversation=conversation)
    if live.filter(user=user).count() >= settings.REALTIME_MAX_SESSIONS_PER_USER:
        raise Refused(
            429,
            "limit.sessions",
            "You have other calls open. End one of them, then start again.",
            retry_after_s=settings.REALTIME_LEASE_SEC,
        )
    if live.count() >= settings.REALTIME_MAX_SESSIONS:
        raise Refused(
            503, "busy.global", "All voice lines are in use. Try again in a minute.", retry_after_s=60
        )


def config_for(
    user: Any, modality: str, *, history: tuple[Seed, ...] = (), first_position: int = 0
) -> RelayConfig:
    """The session's configuration with this person's preferences."""
    preferences = Preferences.objects.filter(owner=user).first() or Preferences(owner=user)
    config = relay_config(
        settings,
        modality=modality,
        voice=preferences.voice,
        preset=preferences.turn_preset,
        language=preferences.language,
        history=history,
        first_position=first_position,
        safety_identifier=hashlib.sha256(f"voiceproject:{user.pk}".encode()).hexdigest()[:32],
        tools=tools.definitions(),
    )
    return replace(config, rates=ledger.rates_for(config.engine, config.model, config.transcription_model))


# ---- redeem ---------------------------------------------------------------------------------------------


def redeem(
    *,
    token_text: str,
    origin: str,
    worker: str,
    session_id: UUID | None = None,
    user_agent: str = "",
    login_key: str = "",
) -> Opening:
    """Spend a token: check it, note it as used and open the session's row, in one transaction. Raises Refused.

    `session_id` is the one in the socket's address, by which a proxy finds the process; it must be the token's.
    """
    try:
        token = tokens.decode(token_text, time.time())
    except tokens.InvalidToken as error:
        raise Refused(401, f"token.{str(error).split()[0]}", "This voice link has expired.") from None
    if session_id is not None and session_id != token.session_uuid:
        raise Refused(401, "token.session", "This voice link has expired.")
    if token.origin != origin:
        raise Refused(401, "token.origin", "This page may not open a voice connection.")
    user = get_user_model().objects.filter(pk=token.user_id, is_active=True).first()
    if user is None or auth_fingerprint(user) != token.auth_hash:
        raise Refused(401, "token.revoked", "Your sign-in expired.")
    if not token.login:
        login_key = ""
    elif access.login_mark(login_key) != token.login or not access.live_logins({login_key}):
        raise Refused(401, "token.login", "Your sign-in expired.")
    conversation = Conversation.objects.owned_by(user).filter(pk=token.conversation_id).first()
    if conversation is None:
        raise Refused(404, "conversation.not_found", "This conversation does not exist.")
    try:
        with transaction.atomic():
            UsedToken.objects.create(jti=token.jti, session_id=token.session_uuid)
            if token.resume:
                # The person may have logged in anew meanwhile: from now on it is this login that counts.
                RealtimeSession.objects.active().filter(pk=token.session_uuid).update(login_key=login_key)
                return Opening(
                    token.session_uuid, conversation.pk, user.pk, True, config_for(user, token.modality)
                )
            # One at a time on the whole site: what is counted here is still so when the row is there.
            ownership.hold(ownership.ADMISSION)
            _check_limits(user, conversation, token.modality)
            elsewhere = ownership.sessions_elsewhere(conversation, worker)
            for other in elsewhere:
                close_session(session_id=other, reason="superseded", counters={})
            history = history_seeds(conversation)
            first_position = conversations.begin_stretch(conversation=conversation)
            config = config_for(user, token.modality, history=history, first_position=first_position)
            config = replace(config, keep=conversation.keep)
            session = RealtimeSession.objects.create(
                id=token.session_uuid,
                user=user,
                conversation=conversation,
                modality=token.modality,
                engine=config.engine,
                model=config.model,
                voice=config.voice if token.modality == "voice" else "",
                lease_until=lease_end(),
                worker=worker,
                auth_hash=token.auth_hash,
                login_key=login_key,
                user_agent=user_agent[:200],
                browser=browser_of(user_agent),
                device=device_of(user_agent),
            )
            config = replace(config, limited=holds.open_with(session, config))
    except IntegrityError:
        raise Refused(401, "token.used", "This voice link has expired.") from None
    return Opening(token.session_uuid, conversation.pk, user.pk, False, config, len(elsewhere))


def history_seeds(conversation: Conversation) -> tuple[Seed, ...]:
    """What the upstream is told of the past: the latest messages within a budget, as they were heard, oldest first."""
    seeds: list[Seed] = []
    left = HISTORY_CHARS
    wanted = {
        Message.Status.COMPLETED,
        Message.Status.INTERRUPTED,
    }  # what was not answered is sent again, if at all
    for message in conversation.messages.in_order().reverse()[:HISTORY_MESSAGES]:
        text = message.heard_text.strip()
        if message.status not in wanted or message.role not in ("user", "assistant") or not text:
            continue
        if len(text) > left:
            break
        left -= len(text)
        seeds.append(Seed(message.role, text))
    return tuple(reversed(seeds))


# ---- leases ---------------------------------------------------------------------------------------------


def lease_end() -> datetime:
    """Until when a session counts as alive if nothing more is heard of its process."""
    return timezone.now() + timedelta(seconds=settings.REALTIME_LEASE_SEC)


def renew_leases(session_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Renew the leases of a process's sessions in one statement; returns those that must end, each with its reason."""
    ids = list(session_ids)
    rows = RealtimeSession.objects.filter(pk__in=ids).select_related("user", "conversation")
    logins = access.live_logins({row.login_key for row in rows})
    ends: dict[UUID, str] = {}
    for row in rows:
        if row.ended_at is not None:
            ends[row.pk] = row.end_reason or "revoked"
        elif not row.user.is_active or auth_fingerprint(row.user) != row.auth_hash:
            ends[row.pk] = "revoked"
        elif row.login_key and row.login_key not in logins:
            ends[row.pk] = "revoked"  # logged out, or the login ran out
        elif row.conversation is None or row.conversation.deleted_at is not None:
            ends[row.pk] = "conversation_deleted"
    found = {row.pk for row in rows}
    ends.update({missing: "revoked" for missing in ids if missing not in found})
    with transaction.atomic():
        mine = RealtimeSession.objects.active().filter(pk__in=[i for i in ids if i not in ends])
        locked = list(mine.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        mine.filter(pk__in=locked).update(lease_until=lease_end())
    return ends


def stored_choices(session_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What may be kept of each session's conversation."""
    rows = RealtimeSession.objects.filter(pk__in=list(session_ids), conversation__isnull=False)
    return dict(rows.values_list("pk", "conversation__keep"))


def reap_lost_sessions(now: datetime | None = None) -> int:
    """End the rows whose process is gone and settle what they were in the middle of saying; returns how many.

    A process is gone when its lease was over at `now` (default: this moment).
    """
    now = now or timezone.now()
    holds.release_lost(now)
    lost = list(RealtimeSession.objects.lease_expired(now).values_list("pk", flat=True)[:REAP_AT_ONCE])
    if not lost:
        return 0
    with transaction.atomic():
        if not ownership.try_to_hold(ownership.REAPING):
            return 0  # another process is at it
        # Asked again inside: the process may have renewed its lease meanwhile, or another one may have reaped it.
        count = (
            RealtimeSession.objects.lease_expired(now)
            .filter(pk__in=lost)
            .update(ended_at=now, end_reason="lost")
        )
        ended = RealtimeSession.objects.filter(pk__in=lost, end_reason="lost").values_list("pk", flat=True)
        conversations.settle_messages(session_ids=list(ended))
        holds.release(ended)
    return count


def forget_used_tokens() -> int:
    """Forget the ids of tokens that expired long ago; returns how many."""
    deleted, _ = UsedToken.objects.filter(used_at__lt=timezone.now() - TOKEN_MEMORY).delete()
    return deleted


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
