"""The rows of kept audio: begun, found by their owner, read, deleted with what they belong to. Writes no audio."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation, Message
from realtime.models import RealtimeSession, Recording
from realtime.recorder import file_name, storage
from realtime.recording_file import KeptAudio

ORPHAN_AFTER = timedelta(days=1)  # a file is made a moment before its row


def begin(session: RealtimeSession) -> None:
    """Audio of this session is kept from now on. Told again, it changes nothing."""
    if session.conversation_id is None:
        return
    Recording.objects.get_or_create(
        session_id=session.pk,
        defaults={
            "conversation_id": session.conversation_id,
            "file": file_name(session.pk),
            "expires_at": timezone.now() + timedelta(days=settings.REALTIME_RECORDING_RETENTION_DAYS),
        },
    )


def existing(session_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these sessions of which audio is kept."""
    return set(Recording.objects.filter(pk__in=list(session_ids)).values_list("pk", flat=True))


def owned_by(user: Any) -> Any:
    """The recordings of a person's own conversations that were not deleted."""
    return Recording.objects.filter(conversation__owner=user, conversation__deleted_at=None)


def of_message(user: Any, conversation_id: UUID, message_id: UUID) -> tuple[Recording, Message] | None:
    """A person's own message with the recording that its sound is in; None when there is none."""
    message = Message.objects.filter(
        pk=message_id, conversation=conversation_id, audio_ms__isnull=False
    ).first()
    mine = owned_by(user).filter(conversation=conversation_id)
    recording = None if message is None else mine.filter(pk=message.session_id).first()
    return None if recording is None or message is None else (recording, message)


def opened(recording: Recording) -> KeptAudio:
    """Its audio, to be closed. Raises FileNotFoundError when the file is gone."""
    return KeptAudio.read(cast(BinaryIO, storage().open(recording.file, "rb")))


@transaction.atomic
def delete_of_conversation(conversation: Conversation) -> int:
    """Delete what audio is kept of a conversation, and keep no more until the person chooses so again. How many."""
    conversations.lock_conversations([conversation.pk])  # the journal locks it before its messages, too
    if conversation.keep == "audio":
        conversations.choose_keeping(conversation=conversation, keep="transcript")
    count, _by_model = Recording.objects.filter(conversation=conversation).delete()
    return count


@receiver(post_delete, sender=Recording, dispatch_uid="realtime.recording_deleted")
def recording_deleted(sender: Any, instance: Recording, **more: Any) -> None:
    """The file goes with the row, however the row went; a rolled back deletion keeps both."""
    conversations.forget_audio(session_id=instance.session_id)
    transaction.on_commit(partial(storage().delete, instance.file))


# ---- files that lost their row ---------------------------------------------------------------------------


def orphans(now: datetime) -> list[str]:
    """Names of files without a row, as a crash between the two can leave them; young ones may still get theirs."""
    place = storage()
    found = []
    with contextlib.suppress(FileNotFoundError):
        for folder in place.listdir("")[0]:
            for name in place.listdir(folder)[1]:
                path = f"{folder}/{name}"
                if place.get_modified_time(path) < now - ORPHAN_AFTER:
                    found.append(path)
    known = set(Recording.objects.filter(file__in=found).values_list("file", flat=True))
    return [path for path in found if path not in known]


def delete_orphans(now: datetime) -> int:
    """Delete them; returns how many."""
    names = orphans(now)
    for name in names:
        storage().delete(name)
    return len(names)
