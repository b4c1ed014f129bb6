"""What only one process of the site may do at a time, and which of them has a session. No connections, no clocks.

Without other processes all of it costs a query or two and changes nothing.
"""

from __future__ import annotations

import os
import socket
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation
from realtime.models import RealtimeSession, SiteLock

ADMISSION, REAPING, ACCOUNTS = "admission", "reaping", "accounts"
# This process. Never the same twice, also where every container counts its processes from 1.
HOST = socket.gethostname()[:50]
WORKER = f"{HOST}:{os.getpid()}:{uuid4().hex[:8]}"


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
    """The live sessions of a conversation that other processes have, in the order in which they may be locked."""
    live = RealtimeSession.objects.active().filter(conversation=conversation).exclude(worker=worker)
    return list(live.order_by("pk").values_list("pk", flat=True))


def is_gone(worker: str) -> bool:
    """Whether a process certainly no longer runs: one of this machine. Of others only their leases tell."""
    host, pid, _ = worker.rsplit(":", 2) if worker.count(":") >= 2 else ("", "", "")
    if host != HOST or not pid.isdigit() or worker == WORKER:
        return False
    if int(pid) == os.getpid():
        return True  # it had the number that this process has now
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # somebody else's
    return False


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
