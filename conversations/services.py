"""The writes to conversations, one transaction each, named for what happened. The reads are on the querysets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of one item of a session now: its message, as it is to be stored."""

    conversation_id: UUID
    session_id: UUID
    item_id: str
    position: int
    role: str
    modality: str
    status: str
    text: str = ""
    heard_chars: int | None = None
    heard_ms: int | None = None
    generated_ms: int | None = None
    client_id: str = ""
    audio_ms: int | None = None
    unsure: bool = False

    def values(self) -> dict[str, Any]:
        """The fields that grow while it is said."""
        text = storable(self.text)
        values: dict[str, Any] = {
            "status": self.status,
            "text": text,
            "heard_chars": None if self.heard_chars is None else max(0, min(self.heard_chars, len(text))),
            "heard_ms": self.heard_ms,
            "generated_ms": self.generated_ms,
            "unsure": self.unsure,
        }
        return values if self.audio_ms is None else {**values, "audio_ms": self.audio_ms}


def record_message(**said: Any) -> Message | None:
    """Store or update the message of one item: the fields of `Said`. See `record_messages`."""
    return record_messages([Said(**said)])[0]


@transaction.atomic(savepoint=False)
def record_messages(said: list[Said]) -> list[Message | None]:
    """Store or update the messages of many items, in this order; again with the same content it changes nothing.

    A pending record that comes after a settled one is older news and is left aside. A typed message that comes again
    in a later session (same `client_id`) is the same message: one that was completed stays as it is, any other moves
    to its new place. None for those whose conversation is gone.
    """
    if not said:
        return []
    # Locked in one order, for other processes may write to some of the same conversations.
    rows = Conversation.objects.select_for_update(no_key=True).order_by("pk")
    titles = dict(rows.filter(pk__in={one.conversation_id for one in said}).values_list("pk", "title"))
    here = [one for one in said if one.conversation_id in titles]
    batch = _Messages(here)
    stored = [batch.store(one) if one.conversation_id in titles else None for one in said]
    batch.save()
    touched = {message.conversation_id for message in batch.changed}
    if touched:
        Conversation.objects.filter(pk__in=touched).update(updated_at=timezone.now())
    settled = {
        message.conversation_id for message in batch.changed if message.status != Message.Status.PENDING
    }
    for conversation_id in settled:
        if not titles[conversation_id]:
            _title_from_first_exchange(conversation_id)
    return stored


class _Messages:
    """The messages that a batch is about: those that are there, read at once, and those that come with it."""

    def __init__(self, said: list[Said]) -> None:
        rows = Message.objects.select_for_update().order_by("pk")
        found = rows.filter(
            session_id__in={one.session_id for one in said},
            item_id__in={storable(one.item_id) for one in said},
        )
        self._items = {(row.session_id, row.item_id): row for row in found}
        known = {row.pk: row for row in self._items.values()}
        self._typed: dict[tuple[UUID, str], Message] = {}  # the last that a page sent under this name
        typed = {storable(one.client_id) for one in said if one.client_id and one.role == Message.Role.USER}
        if typed:
            conversation_ids = {one.conversation_id for one in said}
            before = rows.filter(
                conversation__in=conversation_ids, client_id__in=typed, role=Message.Role.USER
            )
            for row in sorted(before, key=lambda row: row.position):
                self._typed[row.conversation_id, row.client_id] = known.get(row.pk, row)
        self._new: list[Message] = []
        self._names: dict[UUID, set[str]] = {}  # what changed of those that are there
        self._changed: dict[UUID, Message] = {}

    @property
    def changed(self) -> Iterable[Message]:
        """Those that are new or different."""
        return self._changed.values()

    def store(self, one: Said) -> Message:
        """Make or change its message."""
        item_id, client_id = storable(one.item_id), storable(one.client_id)
        values = one.values()
        message = self._items.get((one.session_id, item_id))
        if message is None and client_id and one.role == Message.Role.USER:
            message = self._typed.get((one.conversation_id, client_id))
            if message is not None:
                # Only forward: a record of the earlier session may arrive after the message was sent again.
                if message.status == Message.Status.COMPLETED or one.position <= message.position:
                    return message
                values |= {"session_id": one.session_id, "item_id": item_id, "position": one.position}
                self._items.pop((message.session_id, message.item_id), None)
        if message is None:
            message = Message(
                conversation_id=one.conversation_id,
                session_id=one.session_id,
                item_id=item_id,
                position=one.position,
                role=one.role,
                modality=one.modality,
                client_id=client_id,
                **values,
            )
            self._new.append(message)
            self._changed[message.pk] = message
        elif names := _apply(message, values):
            self._names.setdefault(message.pk, set()).update(names)
            self._changed[message.pk] = message
        self._items[one.session_id, item_id] = message
        if client_id and one.role == Message.Role.USER:
            self._typed[one.conversation_id, client_id] = message
        return message

    def save(self) -> None:
        """Write what is new and what is different."""
        Message.objects.bulk_create(self._new)
        made = {message.pk for message in self._new}
        for pk, names in self._names.items():
            if pk not in made:
                self._changed[pk].save(update_fields=[*names, "updated_at"])


@transaction.atomic
def settle_messages(*, session_ids: list[UUID]) -> None:
    """Nothing more will be heard of these sessions: no message of theirs stays under way for ever.

    What was half said is interrupted, what has no text failed, and a typed message that nobody answered says so.
    """
    lock_conversations(Message.objects.filter(session_id__in=session_ids).values("conversation"))
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


def lock_conversations(ids: Any) -> list[UUID]:
    """Nobody else writes to these conversations or their messages until the transaction ends; returns those there are.

    `ids`: a list, or a query for them. In one order, so that two who lock some of the same do not wait for each other.
    """
    rows = Conversation.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def storable(text: str) -> str:
    """The text with what no database can keep replaced, of the same length."""
    return text.translate(_UNSTORABLE)


def _title(title: str) -> str:
    return storable(" ".join(title.split()))[:TITLE_MAX_CHARS]


def _mark(conversation: Conversation, field: str, when: Any) -> Conversation:
    setattr(conversation, field, when)
    conversation.save(update_fields=[field])
    return conversation


def _apply(message: Message, values: dict[str, Any]) -> list[str]:
    """Apply what is new; returns the names. A settled message is never pending again, unless it was sent again."""
    sent_again = "position" in values
    if not sent_again and values["status"] == Message.Status.PENDING != message.status:
        return []
    changed = [name for name, value in values.items() if getattr(message, name) != value]
    for name in changed:
        setattr(message, name, values[name])
    return changed


def _title_from_first_exchange(conversation_id: UUID) -> None:
    """Title the conversation once its first question and an answer to it are complete; a title that is there stays."""
    messages = Message.objects.filter(conversation_id=conversation_id).in_order()
    asked = messages.filter(role=Message.Role.USER).exclude(status=Message.Status.UNANSWERED).first()
    if asked is None or asked.status == Message.Status.PENDING:
        return
    answers = messages.filter(role=Message.Role.ASSISTANT, position__gt=asked.position)
    answered = answers.exclude(status=Message.Status.PENDING).exclude(text="").first()
    if answered is not None and (title := title_from_exchange(asked.text, answered.text)):
        Conversation.objects.filter(pk=conversation_id, title="").update(title=title)
