"""What is old enough to go, and its deletion: conversations, audio, sessions, logins' remains. The command: `purge`."""

from collections.abc import Callable
from datetime import datetime, timedelta

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session as Login
from django.db import connection, transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from conversations.models import AuditEntry, Conversation
from realtime import recordings
from realtime.models import RealtimeSession, Recording, UsageDay, UsedToken
from voiceproject import deletion

BATCH = 500
ATTEMPTS_KEPT = timedelta(days=1)
LOST_AUDIO = "files of audio that belong to nothing"


def due(now: datetime | None = None) -> dict[str, QuerySet[Model]]:
    """What retention says must go by now, under the words that the command tells it by."""
    now = now or timezone.now()
    silent = now - timedelta(days=settings.RETENTION_DAYS)
    deleted = now - timedelta(days=settings.RETENTION_DELETED_DAYS)
    ended = now - timedelta(days=settings.RETENTION_SESSION_DAYS)
    return {
        "conversations": Conversation.objects.filter(Q(updated_at__lt=silent) | Q(deleted_at__lt=deleted)),
        "recordings": Recording.objects.filter(expires_at__lt=now),
        "sessions": RealtimeSession.objects.filter(ended_at__lt=ended),
        "days of usage sums": UsageDay.objects.filter(day__lt=ended.date()),
        "audit entries": AuditEntry.objects.filter(at__lt=ended),
        "spent tokens": UsedToken.objects.filter(used_at__lt=now - ATTEMPTS_KEPT),
        "expired refresh tokens": OutstandingToken.objects.filter(expires_at__lt=now),
        "logins that ran out": Login.objects.filter(expire_date__lt=now),
        "wrong passwords": AccessAttempt.objects.filter(attempt_time__lt=now - ATTEMPTS_KEPT),
    }


def purge(now: datetime | None = None, *, tell: Callable[[str, int], None] | None = None) -> dict[str, int]:
    """Delete what is due, a batch a transaction; returns how many of each. Safe to stop at any point and run again."""
    now = now or timezone.now()
    counts = {}
    for what, rows in due(now).items():
        count = 0
        while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
            with transaction.atomic():
                # Asked again inside: a conversation may have been taken up meanwhile.
                deletion.delete(rows.filter(pk__in=keys))
            count += len(keys)
        counts[what] = count
        if tell is not None:
            tell(what, count)
    counts[LOST_AUDIO] = recordings.delete_orphans(now)
    if tell is not None:
        tell(LOST_AUDIO, counts[LOST_AUDIO])
    empty_log()
    return counts


def empty_log() -> None:
    """SQLite's log of writes holds what was deleted until its place is used again. Waits a second for readers."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        [(patience_ms,)] = cursor.execute("PRAGMA busy_timeout").fetchall()
        cursor.execute("PRAGMA busy_timeout=1000")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            cursor.execute(f"PRAGMA busy_timeout={int(patience_ms)}")
