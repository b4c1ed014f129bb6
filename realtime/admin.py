"""The admin of sessions and what belongs to them: to look at, never to change. These tables hold no transcript."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations import audit
from realtime import ledger, services
from realtime.models import Budget, Hold, RealtimeSession, SessionEvent, Turn, UsageRecord
from realtime.operations.inspection import inspect
from realtime.switchboard import rights_changed

# Past this, people begin to feel that the answer is late.
SLOW_ANSWER_MS = 1_500
EXPENSIVE_USD = Decimal("0.50")
BAD_ENDS = ("internal", "lost", "storage_stuck")  # and everything that begins with "upstream_"
LEGEND = (
    *(("person", _("the person speaks")), ("waiting", _("waiting for the answer")), ("heard", _("heard"))),
    *(("unheard", _("made, not heard")), ("away", _("the browser was away"))),
)


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


class EngineFilter(admin.SimpleListFilter):
    """Fixed choices: asking the table which engines it holds would read all of it."""

    title = _("engine")
    parameter_name = "engine"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """Those that `RelayConfig.engine` knows."""
        return [(name, name) for name in ("openai", "local", "other")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RealtimeSession]
    ) -> QuerySet[RealtimeSession]:
        """Sessions of that engine, or all."""
        return queryset.filter(engine=self.value()) if self.value() else queryset


class TroubleFilter(admin.SimpleListFilter):
    """Sessions worth a look."""

    title = _("worth a look")
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """The presets."""
        return [
            ("slow", _("an answer slower than %(ms)s ms") % {"ms": SLOW_ANSWER_MS}),
            ("errored", _("errors")),
            ("expensive", _("from $%(usd)s on") % {"usd": EXPENSIVE_USD}),
            ("unpriced", _("unknown price")),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[RealtimeSession]
    ) -> QuerySet[RealtimeSession]:
        """Those of the preset that was chosen."""
        match self.value():
            case "slow":
                return queryset.filter(slowest_ms__gt=SLOW_ANSWER_MS)
            case "errored":
                bad_end = Q(end_reason__in=BAD_ENDS) | Q(end_reason__startswith="upstream_")
                return queryset.filter(bad_end | Q(errors__gt=0))
            case "expensive":
                return queryset.filter(cost_usd__gte=EXPENSIVE_USD)
            case "unpriced":
                return queryset.filter(cost_complete=False)
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


@admin.register(RealtimeSession)
class RealtimeSessionAdmin(HistoryAdmin):
    list_display = (
        *("started_at", "state", "user", "modality", "model", "duration", "turns", "interruptions"),
        *("slowest_ms", "errors", "cost", "end_reason", "worker", "id"),
    )
    list_filter = (StateFilter, TroubleFilter, "modality", EngineFilter, "end_reason", "model", "started_at")
    actions = ("end_sessions",)
    list_select_related = ("user",)
    search_fields = ("=id", "user__username", "user__email", "worker")
    search_help_text = _("Session id, user name, e-mail address or worker")
    ordering = ("-started_at",)
    hidden = ("auth_hash", "login_key")  # they stand for a login

    def get_urls(self) -> list[URLPattern | URLResolver]:  # type: ignore[override]
        """With the dashboard."""
        from realtime.operations.admin import dashboard_page
        from realtime.operations.listening import listen, listened

        view = self.admin_site.admin_view
        return [
            path("dashboard/", view(dashboard_page), name="realtime_dashboard"),
            path("<uuid:session_id>/listen/", view(listen), name="realtime_listen"),
            path("listened/<str:ticket>/<slug:lane>/", view(listened), name="realtime_listened"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """With the timeline, the waterfalls, the events and the usage; `?events=NAME` narrows the events."""
        session = self.get_object(request, object_id)
        more: dict[str, Any] = {}
        if session is not None and self.has_view_permission(request, session):
            more = inspect(session, request.GET.get("events", ""))
            more["legend"] = LEGEND
            user: Any = request.user
            more["may_read"] = user.has_perms(
                ["conversations.view_conversation", "conversations.view_content"]
            )
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Whoever may change sessions may end them; it is the only change there is."""
        user: Any = request.user
        return bool(user.has_perm("realtime.change_realtimesession"))

    @admin.action(description=_("End the selected live sessions"), permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[RealtimeSession]) -> None:
        """End them: this process hangs up at once, others within ten seconds."""
        live = list(queryset.filter(ended_at=None))
        count = services.end_for_operator([session.pk for session in live])
        rights_changed()
        for session in live:
            self.log_change(request, session, "Ended by an operator.")
        transaction.on_commit(rights_changed)
        messages.success(
            request,
            _("%(count)s sessions end. Their calls are hung up within ten seconds.") % {"count": count},
        )

    @admin.display(description=_("cost"), ordering="cost_usd")
    def cost(self, session: RealtimeSession) -> str:
        """In USD; "+ ?" when some usage has no known price."""
        return f"${session.cost_usd:.4f}{'' if session.cost_complete else ' + ?'}"

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
        *("audio_out", "seconds", "model", "usd", "reference", "session_id"),
    )
    list_filter = ("meter", "model", "created_at")
    actions = ("export_csv", "export_jsonl")
    list_select_related = ("session__user",)
    search_fields = ("=session__id", "=reference", "session__user__username")
    search_help_text = _("Session id, response or item id, or user name")
    ordering = ("-pk",)
    date_hierarchy = "created_at"

    @admin.action(description=_("Export as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> HttpResponse:
        """The selected rows as a file."""
        return self._export(request, queryset, "csv", "text/csv")

    @admin.action(description=_("Export as JSON lines"), permissions=["view"])
    def export_jsonl(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> HttpResponse:
        """The selected rows as a file."""
        return self._export(request, queryset, "jsonl", "application/jsonl")

    def _export(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], kind: str, content_type: str
    ) -> HttpResponse:
        disposition = {"Content-Disposition": f'attachment; filename="usage.{kind}"'}
        audit.note(request, audit.Action.EXPORT_USAGE, reason=f"{queryset.count()} rows")
        return HttpResponse(ledger.export(queryset, kind), content_type=content_type, headers=disposition)

    @admin.display(description=_("user"))
    def person(self, usage: UsageRecord) -> str:
        """Whose session it was."""
        return usage.session.user.get_username()


# Prices, probe runs and the dashboard register themselves; they build on the classes above.
from realtime.operations import admin as _operations  # noqa: E402, F401


@admin.register(Budget)
class BudgetAdmin(admin.ModelAdmin):
    list_display = ("scope", "user", "period", "minutes", "usd")
    list_filter = ("scope", "period")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)


@admin.register(Hold)
class HoldAdmin(HistoryAdmin):
    """What is held now; empty when nobody talks or no budget binds anybody."""

    list_display = ("made_at", "person", "reference", "usd", "seconds", "session_id")
    list_select_related = ("session__user",)
    search_fields = ("=session__id", "session__user__username")
    search_help_text = _("Session id or user name")
    ordering = ("-pk",)

    @admin.display(description=_("user"))
    def person(self, hold: Hold) -> str:
        """Whose session it is for."""
        return hold.session.user.get_username()
