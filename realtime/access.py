"""Which sessions a person has, what ties them to a login, and how they are ended from outside. No sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session as Login
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from realtime.models import RealtimeSession, RealtimeSessionQuerySet


def lock_person(user: Any) -> bool:
    """Whether the account still is there and active; until the transaction ends nobody deletes or changes it."""
    rows = get_user_model().objects.select_for_update(no_key=True)
    return rows.filter(pk=user.pk, is_active=True).exists()


def login_mark(login_key: str) -> str:
    """What a token may say of the login that minted it: enough to know it again, no help in taking it over."""
    return salted_hmac("realtime.login", login_key).hexdigest()[:32] if login_key else ""


def auth_fingerprint(user: Any) -> str:
    """Changes with the person's password: sessions and tokens made before a change are over."""
    return hashlib.sha256(user.get_session_auth_hash().encode()).hexdigest()[:32]


def live_logins(keys: Iterable[str]) -> set[str]:
    """Those of the keys whose login has neither ended nor run out."""
    wanted = {key for key in keys if key}
    if not wanted:
        return set()
    found = Login.objects.filter(session_key__in=wanted, expire_date__gt=timezone.now())
    return set(found.values_list("session_key", flat=True))


def live_sessions(user: Any) -> RealtimeSessionQuerySet:
    """A person's own sessions that are under way, latest first."""
    mine = RealtimeSession.objects.active().filter(user=user, lease_until__gte=timezone.now())
    return mine.order_by("-started_at")


def end_sessions(sessions: QuerySet[RealtimeSession], reason: str) -> int:
    """Mark sessions as ended; returns how many. Their process closes the sockets when it next looks, within 10 s.

    `switchboard.rights_changed()` makes this process look at once.
    """
    with transaction.atomic():
        # Locked in the order in which processes renew them and store what was said in them.
        live = sessions.filter(ended_at=None).order_by("pk").select_for_update(no_key=True)
        locked = list(live.values_list("pk", flat=True))
        ended = RealtimeSession.objects.active().filter(pk__in=locked)
        return ended.update(ended_at=timezone.now(), end_reason=reason[:40])
