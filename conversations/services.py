"""The writes to conversations, one transaction each, named for what happened. The reads are on the querysets."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations.models import STRETCH_BITS, Conversation, Message, Preferences
from conversations.titles import title_from_exchange

TITLE_MAX_CHARS = 120
_REPLACEMENT = "\ufffd"
# PostgreSQL cannot store NUL, no database half a surrogate pair. One sign for one keeps `heard_chars` true.
_UNSTORABLE = {0: _REPLACEMENT, **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT)}


def create_conversation(*, owner: Any, title: str = "", keep: str = "") -> Conversation:
    """A new conversation of this person. A title given here counts as the person's own; `keep`: see `choices.py`."""
    title = _title(title)
    keep = keep or Preferences.of(owner).keep
    return Conversation.objects.create(owner=owner, title=title, titled_by_person=bool(title), keep=keep)


def choose_keeping(*, conversation: Conversation, keep: str) -> Conversation:
    """What may be kept of what is said from now on."""
    return _mark(conversation, "keep", keep)


def forget_audio(*, session_id: UUID) -> None:
    """The kept audio of a session is gone: its messages are text alone."""
    Message.objects.filter(session_id=session_id, audio_ms__isnull=False).update(audio_ms=None)


@transaction.atomic
def rename_conversation(*, conversation: Conversation, title: str) -> Conversation:
    """Give it the person's own title; an empty one brings the automatic title back."""
    conversation.title = _title(title)
    conversation.titled_by_person = bool(conversation.title)
    conversation.save(update_fields=["title", "titled_by_person"])
    if not conversation.title:
        _title_from_first_exchange(conversation.pk)
        conversation.refresh_from_db(fields=["title"])
    return conversation


def archive_conversation(*, conversation: Conversation) -> Conversation:
    """Put it away; the date of the first time stays."""
    return _mark(conversation, "archived_at", conversation.archived_at or timezone.now())


def unarchive_conversation(*, conversation: Conversation) -> Conversation:
    """Bring it back to the list."""
    return _mark(conversation, "archived_at", None)


def delete_conversation(*, conversation: Conversation) -> Conversation:
    """Hide it everywhere. `restore_conversation` undoes this until it is purged."""
    return _mark(conversation, "deleted_at", conversation.deleted_at or timezone.now())


def restore_conversation(*, conversation: Conversation) -> Conversation:
    """Undo a deletion; it comes back as it was."""
    return _mark(conversation, "deleted_at", None)


@transaction.atomic
def save_preferences(*, owner: Any, **choices: Any) -> Preferences:
    """Store the named choices, already checked against `choices.py`; the others stay as they are."""
    preferences, _made = Preferences.objects.update_or_create(owner=owner, defaults=choices)
    preferences.owner = owner  # so that `owner.preferences`, if it was read before, is this row from now on
    return preferences


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
    audio_ms: int | None = None,
) -> Message | None:
    """Store or update the message of one item; called again with the same content it changes nothing.

    A pending record that comes after a settled one is older news and is left aside. A typed message that comes again
    in a later session (same `client_id`) is the same message: one that was completed stays as it is, any other moves
    to its new place. None when the conversation is gone.
    """
    if not Conversation.objects.filter(pk=conversation_id).exists():
        return None
    text = storable(text)
    values: dict[str, Any] = {
        "status": status,
        "text": text,
        "heard_chars": None if heard_chars is None else max(0, min(heard_chars, len(text))),
        "heard_ms": heard_ms,
        "generated_ms": generated_ms,
    }
    if audio_ms is not None:
        values["audio_ms"] = audio_ms
    client_id = storable(client_id)
    item = {"session_id": session_id, "item_id": storable(item_id)}
    message = Message.objects.select_for_update().filter(**item).first()
    if message is None and client_id and role == Message.Role.USER:
        message = _sent_before(conversation_id, client_id)
        if message is not None:
            # Only forward: a record of the earlier session may arrive after the message was sent again.
            if message.status == Message.Status.COMPLETED or position <= message.position:
                return message
            values |= {**item, "position": position}
    if message is None:
        message, changed = Message.objects.get_or_create(
            **item,
            defaults={
                "conversation_id": conversation_id,
                "position": position,
                "role": role,
                "modality": modality,
                "client_id": client_id,
                **values,
            },
        )
    else:
        changed = _update(message, values)
    if changed:
        Conversation.objects.filter(pk=message.conversation_id).update(updated_at=timezone.now())
        if message.status != Message.Status.PENDING:
            _title_from_first_exchange(message.conversation_id)
    return message


@transaction.atomic
def settle_messages(*, session_ids: list[UUID]) -> None:
    """Nothing more will be heard of these sessions: no message of theirs stays under way for ever.

    What was half said is interrupted, what has no text failed, and a typed message that nobody answered says so.
    """
    now = timezone.now()
    pending = Message.objects.filter(session_id__in=session_ids, status=Message.Status.PENDING)
    pending.filter(text="").update(status=Message.Status.FAILED, updated_at=now)
    pending.update(status=Message.Status.INTERRUPTED, updated_at=now)
    answers = (Message.Status.COMPLETED, Message.Status.INTERRUPTED)
    for session_id in session_ids:
        messages = Message.objects.filter(session_id=session_id).in_order()
        last = messages.filter(role=Message.Role.USER).last()
        if last is None or last.modality != Message.Modality.TEXT or last.status != Message.Status.COMPLETED:
            continue
        answered = messages.filter(
            role=Message.Role.ASSISTANT, status__in=answers, position__gt=last.position
        ).exists()
        if not answered:
            Message.objects.filter(pk=last.pk).update(status=Message.Status.UNANSWERED, updated_at=now)


def storable(text: str) -> str:
    """The text with what no database can keep replaced, of the same length."""
    return text.translate(_UNSTORABLE)


def _title(title: str) -> str:
    return storable(" ".join(title.split()))[:TITLE_MAX_CHARS]


def _mark(conversation: Conversation, field: str, when: Any) -> Conversation:
    setattr(conversation, field, when)
    conversation.save(update_fields=[field])
    return conversation


def _sent_before(conversation_id: UUID, client_id: str) -> Message | None:
    """The typed message that the page sent under this name, whatever session it went through."""
    typed = Message.objects.filter(
        conversation_id=conversation_id, client_id=client_id, role=Message.Role.USER
    )
    return typed.select_for_update().order_by("-position").first()


def _update(message: Message, values: dict[str, Any]) -> bool:
    """Apply what is new; whether anything was. A settled message is never pending again, unless it was sent again."""
    sent_again = "position" in values
    if not sent_again and values["status"] == Message.Status.PENDING != message.status:
        return False
    changed = [name for name, value in values.items() if getattr(message, name) != value]
    if not changed:
        return False
    for name in changed:
        setattr(message, name, values[name])
    message.save(update_fields=[*changed, "updated_at"])
    return True


def _title_from_first_exchange(conversation_id: UUID) -> None:
    """Title the conversation once its first question and an answer to it are complete; a title that is there stays."""
    untitled = Conversation.objects.filter(pk=conversation_id, title="")
    if not untitled.exists():
        return
    messages = Message.objects.filter(conversation_id=conversation_id).in_order()
    asked = messages.filter(role=Message.Role.USER).exclude(status=Message.Status.UNANSWERED).first()
    if asked is None or asked.status == Message.Status.PENDING:
        return
    answers = messages.filter(role=Message.Role.ASSISTANT, position__gt=asked.position)
    answered = answers.exclude(status=Message.Status.PENDING).exclude(text="").first()
    if answered is not None and (title := title_from_exchange(asked.text, answered.text)):
        untitled.update(title=title)
