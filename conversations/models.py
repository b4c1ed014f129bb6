"""What is kept of people's talks: conversations, messages, preferences. Reads are here, writes in `services.py`."""

import uuid
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from conversations import choices

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

# Each session that talks in a conversation owns a stretch of the conversation's order: positions from
# `stretch << STRETCH_BITS` on. Two sessions can never interleave, however late their last records arrive.
STRETCH_BITS = 20


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def owned_by(self, user: "User | AnonymousUser") -> Self:
        """Those of one person, without the deleted ones, latest activity first."""
        return self.filter(owner=user, deleted_at=None).order_by("-updated_at", "-id")

    def archived(self, archived: bool = True) -> Self:
        """Those that were put away, or with False those that were not."""
        return self.filter(archived_at__isnull=not archived)

    def matching(self, words: str) -> Self:
        """Those whose title or any message contains the words, in either case."""
        found = Message.objects.filter(_contains("text", words), conversation=models.OuterRef("pk"))
        return self.filter(_contains("title", words) | models.Exists(found))


def _contains(field: str, words: str) -> models.Q:
    """SQLite ignores case in ASCII only, so words with other letters are also asked for as they are usually written."""
    words = words.replace("\x00", "")  # PostgreSQL refuses it even in a query
    spellings = {words}
    if not words.isascii():
        spellings |= {words.lower(), words.upper(), words.capitalize(), words.title()}
    return models.Q(
        *((f"{field}__icontains", spelling) for spelling in sorted(spellings)), _connector=models.Q.OR
    )


class Conversation(models.Model):
    """One thread of talk of one person."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.CASCADE,
        related_name="conversations",
    )
    title = models.CharField(_("title"), max_length=120, blank=True)
    titled_by_person = models.BooleanField(_("title by the person"), default=False, editable=False)
    stretches = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("beginning"), auto_now_add=True)
    updated_at = models.DateTimeField(_("last activity"), auto_now_add=True, db_index=True)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    # What may be kept of what is said from now on; what was kept before stays until it is deleted.
    keep = models.CharField(
        _("kept"), max_length=10, choices=choices.KEEP_CHOICES, default=choices.KEEP_DEFAULT
    )

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "-updated_at"])]
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        # Apart from Django's own "view": staff may see that a conversation exists without reading what was said.
        permissions = [("view_content", _("Can read what was said"))]

    def __str__(self) -> str:
        return str(self.id)


class MessageQuerySet(models.QuerySet["Message"]):
    def in_order(self) -> Self:
        """By position: the onset of speech or the sending of text, whatever order transcripts arrived in."""
        return self.order_by("position", "created_at")

    def page_before(self, position: int | None, limit: int) -> tuple[list["Message"], bool]:
        """The last `limit` messages before a position (None: of all), in order, and whether there are earlier ones."""
        earlier = self if position is None else self.filter(position__lt=position)
        page: list[Message] = list(earlier.order_by("-position", "-created_at")[: limit + 1])
        return page[:limit][::-1], len(page) > limit


class Message(models.Model):
    """One item of a conversation, from one speaker.

    `text` is the whole text; `heard_chars` (code points) and `heard_ms` say how far an interrupted answer was heard
    (null: all of it, or not speech); `generated_ms` is the length of all the speech that was made for it.
    """

    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")
        TOOL = "tool", _("tool")

    class Modality(models.TextChoices):
        TEXT = "text", _("text")
        VOICE = "voice", _("voice")

    class Status(models.TextChoices):
        PENDING = "pending", _("under way")
        COMPLETED = "completed", _("completed")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")  # a transcription or an answer that did not come about
        UNANSWERED = "unanswered", _("not answered")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    session_id = models.UUIDField(null=True, blank=True, db_index=True)
    item_id = models.CharField(max_length=64)
    position = models.BigIntegerField(_("position"))
    role = models.CharField(_("who"), max_length=16, choices=Role.choices)
    modality = models.CharField(_("modality"), max_length=8, choices=Modality.choices)
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.PENDING)
    text = models.TextField(blank=True)
    heard_chars = models.PositiveIntegerField(null=True, blank=True)
    heard_ms = models.PositiveIntegerField(_("heard, ms"), null=True, blank=True)
    generated_ms = models.PositiveIntegerField(_("made, ms"), null=True, blank=True)
    audio_ms = models.PositiveIntegerField(null=True, blank=True)  # of its sound that is kept; null: none
    # The recogniser was not sure of the words. The database knows the default too: during a deployment the version
    # before, which does not know the column, goes on writing.
    unsure = models.BooleanField(default=False, db_default=False)
    client_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session_id", "item_id"], name="one_message_per_item")]
        indexes = [models.Index(fields=["conversation", "position"])]
        verbose_name = _("message")
        verbose_name_plural = _("messages")

    def __str__(self) -> str:
        return str(self.id)

    @property
    def heard_text(self) -> str:
        """The part that was heard: what a later session is told was said."""
        return self.text if self.heard_chars is None else self.text[: self.heard_chars]


class AuditEntry(models.Model):
    """That somebody did something that people should be able to ask about. Rows are never changed."""

    class Action(models.TextChoices):
        VIEW_CONTENT = "view_content", _("read what was said")
        LISTEN = "listen", _("heard what was said")
        EXPORT_CONVERSATION = "export_conversation", _("exported a conversation")
        EXPORT_ACCOUNT = "export_account", _("exported all of their own data")
        EXPORT_USAGE = "export_usage", _("exported usage")
        DELETE_CONVERSATION = "delete_conversation", _("deleted a conversation")
        DELETE_ACCOUNT = "delete_account", _("deleted an account")
        DELETE_AUDIO = "delete_audio", _("deleted kept audio")

    at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("who"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="audit_entries",
    )
    action = models.CharField(_("action"), max_length=32, choices=Action.choices)
    conversation_id = models.UUIDField(
        _("conversation"), null=True, db_index=True
    )  # no foreign key: the entry outlives it
    reason = models.CharField(_("reason"), max_length=500)
    address = models.CharField(_("address"), max_length=45, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")

    def __str__(self) -> str:
        return f"{self.action} {self.at:%Y-%m-%d %H:%M:%S}"


class Preferences(models.Model):
    """What one person chose for the chat and the voice panel."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.CASCADE,
        related_name="preferences",
        primary_key=True,
    )
    voice = models.CharField(_("voice"), max_length=40, blank=True)
    turn_preset = models.CharField(_("turn detection"), max_length=20, default="normal")
    turn_custom = models.JSONField(
        _("own numbers"), default=dict, blank=True
    )  # one's own numbers; empty: the site's
    speed = models.FloatField(_("speed"), default=1.0)  # of the assistant's speech
    interruptible = models.BooleanField(_("may be interrupted"), default=True)
    noise_reduction = models.CharField(_("noise reduction"), max_length=10, default=choices.NOISE_DEFAULT)
    speech_language = models.CharField(_("spoken language"), max_length=10, blank=True)
    answers = models.CharField(_("answers"), max_length=10, default=choices.ANSWERS_DEFAULT)
    end_after_sec = models.PositiveSmallIntegerField(
        _("ends after silence of, s"), default=0
    )  # of silence; 0: the site's
    captions = models.BooleanField(_("captions"), default=True)
    caption_style = models.CharField(_("style of captions"), max_length=10, default=choices.CAPTION_DEFAULT)
    language = models.CharField(_("language"), max_length=10, blank=True)
    theme = models.CharField(_("theme"), max_length=10, default="system")
    keep = models.CharField(_("kept"), max_length=10, default=choices.KEEP_DEFAULT)  # for new conversations

    class Meta:
        verbose_name = _("preferences")
        verbose_name_plural = _("preferences")

    def __str__(self) -> str:
        return f"preferences of {self.owner_id}"

    @classmethod
    def of(cls, owner: Any) -> Self:
        """What this person chose; the defaults, unsaved, when nothing was chosen yet. One query a request."""
        try:
            return owner.preferences
        except cls.DoesNotExist:
            return cls(owner=owner)
