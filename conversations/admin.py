"""The admin of conversations. Lists show no word of what was said; a page does with `conversations.view_content`.

Titles count as content, for they are made of it.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.models import Conversation, Message, Preferences

MESSAGES_SHOWN = 200


class PresenceFilter(admin.SimpleListFilter):
    """In the list, put away or deleted."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """The three states."""
        return [("listed", _("listed")), ("archived", _("archived")), ("deleted", _("deleted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> QuerySet[Conversation]:
        """The conversations in the state that was chosen."""
        match self.value():
            case "listed":
                return queryset.filter(archived_at=None, deleted_at=None)
            case "archived":
                return queryset.filter(archived_at__isnull=False, deleted_at=None)
            case "deleted":
                return queryset.filter(deleted_at__isnull=False)
        return queryset


class MessageInline(admin.TabularInline):
    """The last messages of one conversation, to read."""

    model = Message
    extra = 0
    can_delete = False
    ordering = ("position", "created_at")
    verbose_name_plural = _("last messages")
    _facts = ("position", "created_at", "role", "modality", "status", "heard_ms", "generated_ms")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those who may see the conversation see that there are messages; their text is another matter."""
        return request.user.has_perm("conversations.view_conversation")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """With the text only for those who may read it."""
        return (*self._facts, "text") if may_read(request) else self._facts

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All of them."""
        return self.get_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """The last `MESSAGES_SHOWN` of the conversation on the page, without the text for those who may not read it."""
        match = request.resolver_match
        conversation_id = match.kwargs.get("object_id", "") if match is not None else ""
        last = Message.objects.filter(conversation_id=conversation_id).order_by("-position", "-created_at")
        messages = (
            super()
            .get_queryset(request)
            .filter(pk__in=list(last.values_list("pk", flat=True)[:MESSAGES_SHOWN]))
        )
        return messages if may_read(request) else messages.defer("text")


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):
    list_display = ("updated_at", "owner", "message_count", "created_at", "archived_at", "deleted_at", "id")
    list_filter = (PresenceFilter, "created_at", "updated_at")
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=id", "owner__username", "owner__email")
    search_help_text = _("Conversation id, user name or e-mail address")
    ordering = ("-updated_at",)
    inlines = (MessageInline,)
    _facts = ("id", "owner", "created_at", "updated_at", "archived_at", "deleted_at", "titled_by_person")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: people begin their own."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: what was said stays as it was said."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """With the title only for those who may read it."""
        return (*self._facts, "title") if may_read(request) else self._facts

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All of them."""
        return self.get_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """With the number of messages, counted for the rows shown."""
        counted = Message.objects.filter(conversation=OuterRef("pk")).order_by().values("conversation")
        count = Subquery(counted.annotate(count=Count("pk")).values("count"))
        return super().get_queryset(request).annotate(messages_kept=Coalesce(count, 0))

    @admin.display(description=_("messages"))
    def message_count(self, conversation: Conversation) -> int:
        """How many messages it has."""
        return conversation.messages_kept  # type: ignore[attr-defined]


@admin.register(Preferences)
class PreferencesAdmin(admin.ModelAdmin):
    list_display = ("owner", "voice", "turn_preset", "captions", "language", "theme")
    list_filter = ("turn_preset", "language", "voice")
    list_select_related = ("owner",)
    search_fields = ("owner__username", "owner__email")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: they come with the person's first choice."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: they are the person's own."""
        return False


def may_read(request: HttpRequest) -> bool:
    """Whether this member of staff may read what was said."""
    return request.user.has_perm("conversations.view_content")
