"""Who gets in: granting session tokens, and opening a session's row when one is spent, within the limits."""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation, ConversationQuerySet, Message, Preferences
from realtime import access, budgets, holds, ledger, memory, ownership, tokens, tools
from realtime.conf import RelayConfig, Seed, relay_config
from realtime.exceptions import Refused
from realtime.leases import lease_end
from realtime.models import RealtimeSession, UsedToken
from realtime.services import close_session
from realtime.transcript import TOLD_MESSAGES, latest
from realtime.user_agents import browser_of, device_of

LOW_DISK_S = 300
FULL_S = 60  # lines, chats or memory: something ends within a minute


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
        _check_memory()
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
        auth_hash=access.auth_fingerprint(user),
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


def _check_memory() -> None:
    """Refuse new sessions before memory runs out; those that go on may use what is left."""
    if memory.share_used() >= 1:
        sentence = "The site is at its limit right now. Try again in a minute."
        raise Refused(503, "busy.memory", sentence, retry_after_s=FULL_S)


def configured() -> bool:
    """Whether there is an upstream to talk to: a key, or a server on this machine that needs none."""
    return bool(settings.OPENAI_API_KEY) or relay_config(settings).is_local


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
    """Concurrent sessions, calls and typed ones by themselves: a typed one takes no voice line.

    One in the same conversation does not count: the new one takes its place.
    """
    live = RealtimeSession.objects.active().filter(modality=modality, lease_until__gte=timezone.now())
    live = live.exclude(conversation=conversation)
    if modality == RealtimeSession.Modality.TEXT:
        if live.filter(user=user).count() >= settings.REALTIME_MAX_TEXT_SESSIONS_PER_USER:
            sentence = "You are writing in many conversations at once. Close one of them, then try again."
            raise Refused(429, "limit.chats", sentence, retry_after_s=settings.REALTIME_LEASE_SEC)
        if live.count() >= settings.REALTIME_MAX_TEXT_SESSIONS:
            sentence = "Many people are writing right now. Try again in a minute."
            raise Refused(503, "busy.chats", sentence, retry_after_s=FULL_S)
        return
    if live.filter(user=user).count() >= settings.REALTIME_MAX_SESSIONS_PER_USER:
        raise Refused(
            429,
            "limit.sessions",
            "You have other calls open. End one of them, then start again.",
            retry_after_s=settings.REALTIME_LEASE_SEC,
        )
    if live.count() >= settings.REALTIME_MAX_SESSIONS:
        raise Refused(
            503, "busy.global", "All voice lines are in use. Try again in a minute.", retry_after_s=FULL_S
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
        turn_custom=preferences.turn_custom,
        noise_reduction=preferences.noise_reduction,
        written_answers=preferences.answers == "written",
        end_after_sec=preferences.end_after_sec,
        language=preferences.speech_language or preferences.language,
        expected_language=preferences.speech_language,
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
    user_agent = conversations.storable(user_agent)
    try:
        token = tokens.decode(token_text, time.time())
    except tokens.InvalidToken as error:
        raise Refused(401, f"token.{str(error).split()[0]}", "This voice link has expired.") from None
    if session_id is not None and session_id != token.session_uuid:
        raise Refused(401, "token.session", "This voice link has expired.")
    if token.origin != origin:
        raise Refused(401, "token.origin", "This page may not open a voice connection.")
    user = get_user_model().objects.filter(pk=token.user_id, is_active=True).first()
    if user is None or access.auth_fingerprint(user) != token.auth_hash:
        raise Refused(401, "token.revoked", "Your sign-in expired.")
    if not token.login:
        login_key = ""
    elif access.login_mark(login_key) != token.login or not access.live_logins({login_key}):
        raise Refused(401, "token.login", "Your sign-in expired.")
    conversation = Conversation.objects.owned_by(user).filter(pk=token.conversation_id).first()
    if conversation is None:
        raise Refused(404, "conversation.not_found", "This conversation does not exist.")
    if not token.resume:
        _check_memory()  # again: another process may have granted the token
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
            # The locks of docs/architecture.md, in their order: person, budgets, sessions, conversation.
            if not access.lock_person(user):
                raise Refused(401, "token.revoked", "Your sign-in expired.")
            budgets.lock(user.pk)
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
    # What was not answered is sent again, if at all.
    wanted = {Message.Status.COMPLETED, Message.Status.INTERRUPTED}
    seeds = [
        Seed(message.role, text)
        for message in conversation.messages.in_order().reverse()[:TOLD_MESSAGES]
        if message.status in wanted
        and message.role in ("user", "assistant")
        and (text := message.heard_text.strip())
    ]
    return latest(seeds)
