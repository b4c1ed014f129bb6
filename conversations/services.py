"""The writes to conversations, one transaction each, named for what happened. The reads are on the querysets."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations.models import STRETCH_BITS, Conversation, Message

FINAL = {Message.Status.COMPLETED, Message.Status.INTERRUPTED, Message.Status.FAILED}


def create_conversation(*, owner, title: str = "") -> Conversation:
    """A new conversation of this person."""
    return Conversation.objects.create(owner=owner, title=title[:120], titled_by_person=bool(title))


@transaction.atomic
def begin_stretch(*, conversation: Conversation) -> int:
    """Reserve the next stretch of the conversation's order for one session; returns its first position."""
    Conversation.objects.filter(pk=conversation.pk).update(stretches=F("stretches") + 1)
    conversation.refresh_from_db(fields=["stretches"])
    return conversation.stretches << STRETCH_BITS


@transaction.atomic
def record_message(
    *,
    conversation_id: UUID,
    session_id: UUID,
    item_id: str,
    position: int,
    role: str,
    modality: str,
    status: str,
    text: str = "",
    heard_chars: int | None = None,
    heard_ms: int | None = None,
    generated_ms: int | None = None,
    client_id: str = "",
) -> Message | None:
    """Store or update the message of one item; called again with the same content it changes nothing.

    A record that is older than what is stored (pending after final) is left aside. None when the conversation is gone.
    """
    if not Conversation.objects.filter(pk=conversation_id).exists():
        return None
    values = {
        "status": status,
        "text": text.replace("\x00", ""),
        "heard_chars": heard_chars,
        "heard_ms": heard_ms,
        "generated_ms": generated_ms,
    }
    message, made = Message.objects.get_or_create(
        session_id=session_id,
        item_id=item_id,
        defaults={
            "conversation_id": conversation_id,
            "position": position,
            "role": role,
            "modality": modality,
            "client_id": client_id,
            **values,
        },
    )
    if not made and not (message.status in FINAL and status not in FINAL):
        for name, value in values.items():
            setattr(message, name, value)
        message.save(update_fields=[*values, "updated_at"])
    Conversation.objects.filter(pk=conversation_id).update(updated_at=timezone.now())
    return message
