"""What only one process of the site may do at a time, and which of them has a session. No sockets, no clocks.

Without other processes all of it costs a query or two and changes nothing.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation
from realtime.models import RealtimeSession, SiteLock

ADMISSION, REAPING, ACCOUNTS = "admission", "reaping", "accounts"


def hold(name: str) -> None:
    """Hold the lock until the transaction under way ends; waits for the process that has it."""
    if not SiteLock.objects.select_for_update().filter(pk=name).exists():
        SiteLock.objects.get_or_create(pk=name)
        SiteLock.objects.select_for_update().get(pk=name)


def try_to_hold(name: str) -> bool:
    """The same without waiting: False when another process has it."""
    if SiteLock.objects.select_for_update(skip_locked=True).filter(pk=name).exists():
        return True
    _, made = SiteLock.objects.get_or_create(pk=name)
    return made  # one that was just made is ours until the end of the transaction


def sessions_elsewhere(conversation: Conversation, worker: str) -> list[UUID]:
    """The live sessions of a conversation that other processes have."""
    live = RealtimeSession.objects.active().filter(conversation=conversation).exclude(worker=worker)
    return list(live.values_list("pk", flat=True))


@transaction.atomic
def give_up_elsewhere(*, session_id: UUID, worker: str) -> bool:
    """End a session that another process has, or had: its page came here instead. Whether there was one.

    If that process lives after all, it sees this with its next renewal and hangs up, having saved what it had.
    """
    there = RealtimeSession.objects.active().filter(pk=session_id).exclude(worker=worker)
    ended = there.update(ended_at=timezone.now(), end_reason="lost")
    if ended:
        conversations.settle_messages(session_ids=[session_id])
    return bool(ended)
