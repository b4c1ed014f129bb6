"""The admin of sessions and what belongs to them: to look at, never to change. These tables hold no transcript."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from realtime.models import RealtimeSession, SessionEvent, Turn, UsageRecord

# Past this, people begin to feel that the answer is late.
SLOW_ANSWER_MS = 1_500
ROWS_SHOWN = 200


class HistoryAdmin(admin.ModelAdmin):
    """Rows that are records of what happened: nobody adds or changes them, and they go only with their owner."""

    list_per_page = 50
    # The count of all rows beside the count of those found is a second scan of the biggest tables.
    show_full_result_count = False
    hidden: tuple[str, ...] = ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """All of the row, also what Django sets itself, without what is `hidden`."""
        return [field.name for field in self.model._meta.concrete_fields if field.name not in self.hidden]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """All of them."""
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only as a part of deleting the account: Django asks every table that the deletion reaches."""
        return deletes_an_account(request) and super().has_delete_permission(request, obj)


def deletes_an_account(request: HttpRequest) -> bool:
    """Whether this request is on the admin pages of users."""
    match = request.resolver_match
    return match is not None and (match.url_name or "").startswith("auth_user_")


class StateFilter(admin.SimpleListFilter):
    """Live, stale (the process no longer renews the lease) or ended."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """The three states."""
        return [("live", _("live")), ("stale", _("stale")), ("ended", _("ended"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RealtimeSession]
    ) -> QuerySet[RealtimeSession]:
        """The sessions in the state that was chosen."""
        now = timezone.now()
        match self.value():
            case "live":
                return queryset.filter(ended_at=None).exclude(lease_until__lt=now)
            case "stale":
                return queryset.filter(ended_at=None, lease_until__lt=now)
            case "ended":
                return queryset.exclude(ended_at=None)
        return queryset


class SlowFilter(admin.SimpleListFilter):
    """Turns that were answered late."""

    title = _("answer")
    parameter_name = "slow"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """The one choice."""
        return [("yes", _("slower than %(ms)s ms") % {"ms": SLOW_ANSWER_MS})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Turn]) -> QuerySet[Turn]:
        """The late ones, or all."""
        return queryset.filter(response_latency_ms__gt=SLOW_ANSWER_MS) if self.value() == "yes" else queryset


class HistoryInline(admin.TabularInline):
    """Rows of one session on its page, the first `ROWS_SHOWN`; all of them are in their own list."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The first of the session on the page: a session of a day has events without number.

        By their keys, since Django narrows the rows of an inline after this, and a slice cannot be narrowed.
        """
        match = request.resolver_match
        session_id = match.kwargs.get("object_id", "") if match is not None else ""
        rows = super().get_queryset(request)
        first = rows.filter(session_id=session_id).order_by("pk").values_list("pk", flat=True)[:ROWS_SHOWN]
        return rows.filter(pk__in=list(first)).order_by("pk")


class TurnInline(HistoryInline):
    model = Turn
    fields = (
        *(
            "response_id",
            "status",
            "endpointing_ms",
            "first_delta_ms",
            "playout_start_ms",
            "response_latency_ms",
        ),
        *("heard_ms", "generated_ms"),
    )
    readonly_fields = fields


class UsageInline(HistoryInline):
    model = UsageRecord
    fields = (
        *(
            "meter",
            "reference",
            "text_in",
            "audio_in",
            "cached_text",
            "cached_audio",
            "text_out",
            "audio_out",
        ),
        "seconds",
    )
    readonly_fields = fields


class EventInline(HistoryInline):
    model = SessionEvent
    fields = ("at_ms", "name", "data")
    readonly_fields = fields
    verbose_name_plural = _("first events")


@admin.register(RealtimeSession)
class RealtimeSessionAdmin(HistoryAdmin):
    list_display = (
        *("started_at", "state", "user", "modality", "engine", "model", "duration", "turns", "interruptions"),
        *("first_audio_ms", "end_reason", "id"),
    )
    list_filter = (StateFilter, "modality", "engine", "end_reason", "model", "started_at")
    list_select_related = ("user",)
    search_fields = ("=id", "user__username", "user__email", "worker")
    search_help_text = _("Session id, user name, e-mail address or worker")
    ordering = ("-started_at",)
    date_hierarchy = "started_at"
    inlines = (TurnInline, EventInline, UsageInline)
    hidden = ("auth_hash",)  # it stands for a login

    @admin.display(description=_("state"))
    def state(self, session: RealtimeSession) -> str:
        """As in the filter."""
        if session.ended_at is not None:
            return str(_("ended"))
        stale = session.lease_until is not None and session.lease_until < timezone.now()
        return str(_("stale") if stale else _("live"))

    @admin.display(description=_("duration"), ordering=F("ended_at") - F("started_at"))
    def duration(self, session: RealtimeSession) -> str:
        """Hours, minutes and seconds, of a running one so far."""
        lasted = (session.ended_at or timezone.now()) - session.started_at
        return str(timedelta(seconds=int(lasted.total_seconds())))


@admin.register(Turn)
class TurnAdmin(HistoryAdmin):
    list_display = (
        *("created_at", "person", "status", "response_latency_ms", "endpointing_ms", "first_delta_ms"),
        *("playout_start_ms", "heard_ms", "generated_ms", "response_id", "session_id"),
    )
    list_filter = (SlowFilter, "status", "created_at")
    list_select_related = ("session__user",)
    search_fields = ("=session__id", "=response_id", "session__user__username")
    search_help_text = _("Session id, response id or user name")
    ordering = ("-pk",)

    @admin.display(description=_("user"))
    def person(self, turn: Turn) -> str:
        """Whose session it was."""
        return turn.session.user.get_username()


@admin.register(SessionEvent)
class SessionEventAdmin(HistoryAdmin):
    list_display = ("name", "person", "at_ms", "session_id")
    list_filter = ("name",)
    list_select_related = ("session__user",)
    search_fields = ("=session__id", "=name", "session__user__username")
    search_help_text = _("Session id, event name or user name")
    ordering = ("-pk",)

    @admin.display(description=_("user"))
    def person(self, event: SessionEvent) -> str:
        """Whose session it was."""
        return event.session.user.get_username()


@admin.register(UsageRecord)
class UsageRecordAdmin(HistoryAdmin):
    list_display = (
        *("created_at", "person", "meter", "text_in", "audio_in", "cached_text", "cached_audio", "text_out"),
        *("audio_out", "seconds", "reference", "session_id"),
    )
    list_filter = ("meter", "created_at")
    list_select_related = ("session__user",)
    search_fields = ("=session__id", "=reference", "session__user__username")
    search_help_text = _("Session id, response or item id, or user name")
    ordering = ("-pk",)
    date_hierarchy = "created_at"

    @admin.display(description=_("user"))
    def person(self, usage: UsageRecord) -> str:
        """Whose session it was."""
        return usage.session.user.get_username()
