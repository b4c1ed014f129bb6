"""Deletes rows that others belong to, with a lock on all that this touches, in the order of docs/architecture.md.

A cascade deletes from the leaves up, while those who write lock from the root down: each would wait for the other, and
PostgreSQL would abort one of them. So whoever deletes locks the roots first. What is to go is asked for under the
locks, since it may have grown, or have been taken up, until they were had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from conversations.models import AuditEntry, Conversation
from realtime.models import Budget, RealtimeSession, Recording, UsageDay, UsageSum, UsedToken


@transaction.atomic
def delete(rows: QuerySet[Any]) -> None:
    """Delete these rows and what belongs to them."""
    rows.model._default_manager.filter(pk__in=LOCKS.get(rows.model, lock)(rows)).delete()


def lock(rows: QuerySet[Any]) -> list[Any]:
    """Lock rows that are to go, in the order of their keys; returns the keys."""
    return list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))


def lock_person(user_id: int) -> list[UUID]:
    """Lock an account and all that is kept of it; returns its sessions. No call of the person begins from now on."""
    lock(User.objects.filter(pk=user_id))
    lock(Budget.objects.filter(user=user_id))
    session_ids = lock(RealtimeSession.objects.filter(user=user_id))
    lock(Conversation.objects.filter(owner=user_id))
    # Nobody who writes these waits for anything else. Here because others delete them by the row too.
    lock(UsedToken.objects.filter(session_id__in=session_ids))
    lock(UsageSum.objects.filter(user=user_id))
    lock(AuditEntry.objects.filter(actor=user_id))
    lock(OutstandingToken.objects.filter(user=user_id))
    lock(AccessAttempt.objects.filter(username__in=User.objects.filter(pk=user_id).values("username")))
    return session_ids


def lock_conversations(rows: QuerySet[Any]) -> list[Any]:
    """Before them their sessions, which stay and forget whose they were."""
    lock(RealtimeSession.objects.filter(conversation__in=rows.values("pk")))
    return lock(rows)


def lock_sessions(rows: QuerySet[Any]) -> list[Any]:
    """And the conversations of their audio, whose messages become text alone."""
    keys = lock(rows)
    lock(Conversation.objects.filter(pk__in=Recording.objects.filter(pk__in=keys).values("conversation")))
    return keys


def lock_recordings(rows: QuerySet[Any]) -> list[Any]:
    """Before them their conversations."""
    lock(Conversation.objects.filter(pk__in=rows.values("conversation")))
    return lock(rows)


def lock_usage_days(rows: QuerySet[Any]) -> list[Any]:
    """Before them their sums, as the deletion of an account locks those."""
    lock(UsageSum.objects.filter(day__in=rows.values("pk")))
    return lock(rows)


LOCKS: dict[Any, Callable[[QuerySet[Any]], list[Any]]] = {
    Conversation: lock_conversations,
    RealtimeSession: lock_sessions,
    Recording: lock_recordings,
    UsageDay: lock_usage_days,
}
