"""The admin of conversations. Lists and pages show no word of what was said; titles count, for they are made of it.

Reading takes the permission `conversations.view_content` and a reason, and leaves an audit entry each time.
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.constants import LOOKUP_SEP
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from conversations import audit
from conversations.models import AuditEntry, Conversation, Message, Preferences

MESSAGES_SHOWN = 200


class ReasonForm(forms.Form):
    """Why a member of staff has to read what people said."""

    reason = forms.CharField(
        label=_("Why do you have to read this?"),
        min_length=10,
        max_length=500,
        widget=forms.Textarea({"rows": 3}),
    )


class HidesFields(admin.ModelAdmin):
    """A list that cannot be filtered by its `hidden` fields: who may see it could guess them, letter by letter."""

    hidden: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """As Django has it, which allows every field of the table itself."""
        name = lookup.partition(LOOKUP_SEP)[0]
        return name not in self.hidden and super().lookup_allowed(lookup, value, request)


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
    fields = ("position", "created_at", "role", "modality", "status", "heard_ms", "generated_ms")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those who may see the conversation see that there are messages, without their text."""
        return request.user.has_perm("conversations.view_conversation")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """The last `MESSAGES_SHOWN` of the conversation on the page, without their text."""
        match = request.resolver_match
        conversation_id = match.kwargs.get("object_id", "") if match is not None else ""
        last = Message.objects.filter(conversation_id=conversation_id).order_by("-position", "-created_at")
        keys = list(last.values_list("pk", flat=True)[:MESSAGES_SHOWN])
        return super().get_queryset(request).filter(pk__in=keys).defer("text")


@admin.register(Conversation)
class ConversationAdmin(HidesFields):
    hidden = ("title",)  # it is made of what was said
    list_display = ("updated_at", "owner", "message_count", "created_at", "archived_at", "deleted_at", "id")
    list_filter = (PresenceFilter, "created_at", "updated_at")
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=id", "owner__username", "owner__email")
    search_help_text = _("Conversation id, user name or e-mail address")
    ordering = ("-updated_at",)
    inlines = (MessageInline,)
    fields = (
        "id",
        "owner",
        "created_at",
        "updated_at",
        "archived_at",
        "deleted_at",
        "titled_by_person",
        "words",
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: people begin their own."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: what was said stays as it was said."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """With the page to read what was said."""
        read = path(
            "<uuid:conversation_id>/read/",
            self.admin_site.admin_view(self.read, cacheable=False),
            name="conversations_conversation_read",
        )
        return [read, *super().get_urls()]

    @method_decorator(sensitive_variables("messages"))
    def read(self, request: HttpRequest, conversation_id: UUID) -> HttpResponse:
        """Ask for a reason; given one, note it and show the conversation once. Another look takes another reason."""
        if not may_read(request):
            raise PermissionDenied
        conversation = get_object_or_404(Conversation, pk=conversation_id)
        form = ReasonForm(request.POST or None)
        context = {**self.admin_site.each_context(request), "conversation": conversation, "form": form}
        if request.method == "POST" and form.is_valid():
            audit.content_viewed(request, conversation, form.cleaned_data["reason"])
            context["messages_said"] = conversation.messages.in_order().reverse()[:MESSAGES_SHOWN][::-1]
        answer = render(request, "admin/conversations/conversation/read.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """With the number of messages, counted for the rows shown."""
        counted = Message.objects.filter(conversation=OuterRef("pk")).order_by().values("conversation")
        count = Subquery(counted.annotate(count=Count("pk")).values("count"))
        return super().get_queryset(request).annotate(messages_kept=Coalesce(count, 0))

    @admin.display(description=_("what was said"))
    def words(self, conversation: Conversation) -> str:
        """The way to the page that asks for a reason."""
        address = reverse("admin:conversations_conversation_read", args=[conversation.pk])
        return format_html('<a href="{}">{}</a>', address, _("Read it, for a reason"))

    @admin.display(description=_("messages"))
    def message_count(self, conversation: Conversation) -> int:
        """How many messages it has."""
        return conversation.messages_kept  # type: ignore[attr-defined]


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    list_display = ("at", "actor", "action", "reason", "conversation_id", "address")
    list_filter = ("action", "at")
    list_select_related = ("actor",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=conversation_id", "actor__username")
    fields = list_display
    readonly_fields = list_display

    class Media:
        css = {"all": ("admin_voice/operations.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: entries come of what is done."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: they go with `manage.py purge`, when their time is over."""
        return False


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
