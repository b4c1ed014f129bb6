"""Leases: how a session's row says that its process lives; the reaper of those whose process does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations import services as conversations
from realtime import access, holds, ownership
from realtime.models import RealtimeSession, UsedToken

TOKEN_MEMORY = timedelta(hours=1)  # a token lives 5 minutes: after this its id can only be offered in vain
REAP_AT_ONCE = 500


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
        elif not row.user.is_active or access.auth_fingerprint(row.user) != row.auth_hash:
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


class Watch:
    """The leases that are over when it begins. For whoever comes from outside and does not know why they are.

    After the database was away, or a clock was put, those of living processes are over too, until they renew. One that
    is still the same a lease's time later (REALTIME_LEASE_SEC) is nobody's: its process renews three times in it.
    """

    def __init__(self) -> None:
        self.since = timezone.now()
        rows = RealtimeSession.objects.lease_expired(self.since)
        self._seen: dict[UUID, datetime | None] = dict(rows.values_list("pk", "lease_until"))
        self.needed = bool(self._seen) or holds.lost(self.since).exists()

    def reap(self) -> int:
        """End the sessions whose lease is the same as it was; returns how many."""
        count = 0
        while ended := reap_lost_sessions(self.since, unrenewed=self._seen):
            count += ended
        return count


def reap_lost_sessions(
    now: datetime | None = None,
    *,
    only_dead: bool = False,
    unrenewed: Mapping[UUID, datetime | None] | None = None,
) -> int:
    """End the rows whose process is gone and settle what they were in the middle of saying; returns how many.

    A process is gone when its lease was over at `now` (default: this moment). `only_dead`: and when it certainly no
    longer runs. `unrenewed`: of these, and when their lease still is the one named here.
    """
    now = now or timezone.now()
    expired = RealtimeSession.objects.lease_expired(now)
    if unrenewed is not None:
        expired = expired.filter(pk__in=list(unrenewed))
    if only_dead:
        workers = expired.order_by("worker").values_list("worker", flat=True).distinct()
        expired = expired.filter(worker__in=[worker for worker in workers if ownership.is_gone(worker)])
    else:
        holds.release_lost(now)
    leases = dict(expired.values_list("pk", "lease_until"))
    lost = [pk for pk, lease in leases.items() if unrenewed is None or lease == unrenewed[pk]][:REAP_AT_ONCE]
    if not lost:
        return 0
    with transaction.atomic():
        if not ownership.try_to_hold(ownership.REAPING):
            return 0  # another process is at it
        # Asked again inside: the process may have renewed its lease meanwhile, or another one may have reaped it. A row
        # that is being written to is not waited for: its process lives.
        still = RealtimeSession.objects.lease_expired(now).filter(pk__in=lost)
        still = still.select_for_update(no_key=True, skip_locked=True)
        ended = [pk for pk, lease in still.values_list("pk", "lease_until") if lease == leases[pk]]
        RealtimeSession.objects.filter(pk__in=ended).update(ended_at=now, end_reason="lost")
        conversations.settle_messages(session_ids=ended)
        holds.release(ended)
    return len(ended)


@transaction.atomic
def forget_used_tokens() -> int:
    """Forget the ids of tokens that expired long ago; returns how many. Those that somebody has locked are left out."""
    old = UsedToken.objects.filter(used_at__lt=timezone.now() - TOKEN_MEMORY)
    keys = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True))
    deleted, _ = UsedToken.objects.filter(pk__in=keys).delete()
    return deleted
