"""The admin of sessions and what belongs to them: to look at, never to change. These tables hold no transcript."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from conversations import audit
from realtime import budgets, ledger, services
from realtime.models import Budget, Hold, RealtimeSession, SessionEvent, Turn, UsageRecord
from realtime.operations.filters import (
    BrowserFilter,
    DaysFilter,
    DeviceFilter,
    EndReasonFilter,
    EngineFilter,
    EventNameFilter,
    MeterFilter,
    ModelFilter,
    SlowFilter,
    StateFilter,
    StatusFilter,
    TroubleFilter,
)
from realtime.operations.history import HistoryAdmin
from realtime.operations.inspection import inspect
from realtime.switchboard import rights_changed

LEGEND = (
    *(("person", _("the person speaks")), ("waiting", _("waiting for the answer")), ("heard", _("heard"))),
    *(("unheard", _("made, not heard")), ("away", _("the browser was away"))),
)


@admin.register(RealtimeSession)
class RealtimeSessionAdmin(HistoryAdmin):
    change_list_template = "admin/realtime/realtimesession/change_list.html"
    list_display = (
        *("started_at", "user", "state", "duration", "turns", "slowest_ms", "errors", "cost", "upstream"),
        *("page", "interruptions", "modality", "worker", "id"),
    )
    list_filter = (
        *(
            StateFilter,
            TroubleFilter,
            ("started_at", DaysFilter),
            "modality",
            EngineFilter,
            ModelFilter,
            EndReasonFilter,
        ),
        *(BrowserFilter, DeviceFilter),
    )
    actions = ("end_sessions", "export_csv")
    fetched = ("user",)
    session_field, user_field = "id", "user_id"
    search_fields = ("=worker",)
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
            path("<uuid:session_id>/end/", view(require_POST(self.end_one)), name="realtime_end"),
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
            more["subtitle"] = f"{session.user}, {formats.localize(timezone.localtime(session.started_at))}"
            more |= {"state": self.state(session), "lasted": self.duration(session)}
            more["may_end"] = session.ended_at is None and self.has_end_permission(request)
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
        """Mark them as ended by the operator, and have their processes look at once."""
        count = self._end(request, queryset)
        messages.success(
            request,
            _("%(count)s sessions end. Their calls are hung up at once, or within ten seconds.")
            % {"count": count},
        )

    @admin.action(description=_("Export as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[RealtimeSession]) -> HttpResponse:
        """The selected sessions as a file."""
        from realtime.operations import sessions_file

        audit.note(request, audit.Action.EXPORT_USAGE, reason=f"{queryset.count()} sessions")
        return HttpResponse(
            sessions_file.lines(queryset),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="sessions.csv"'},
        )

    def end_one(self, request: HttpRequest, session_id: UUID) -> HttpResponse:
        """The button on the page of a live session."""
        if not (self.has_end_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        if self._end(request, RealtimeSession.objects.filter(pk=session_id)):
            messages.success(
                request, _("The session ends. Its call is hung up at once, or within ten seconds.")
            )
        else:
            messages.info(request, _("This session is over already."))
        return HttpResponseRedirect(reverse("admin:realtime_realtimesession_change", args=[session_id]))

    def _end(self, request: HttpRequest, queryset: QuerySet[RealtimeSession]) -> int:
        live = list(queryset.filter(ended_at=None))
        count = services.end_for_operator([session.pk for session in live])
        for session in live:
            self.log_change(request, session, "Ended by an operator.")
        transaction.on_commit(rights_changed)
        return count

    @admin.display(description=_("cost"), ordering="cost_usd")
    def cost(self, session: RealtimeSession) -> str:
        """In USD; "+ ?" when some usage has no known price."""
        return f"${session.cost_usd:.4f}{'' if session.cost_complete else ' + ?'}"

    @admin.display(description=_("state"), ordering="end_reason")
    def state(self, session: RealtimeSession) -> str:
        """As in the filter; of one that is over, why it ended."""
        if session.ended_at is not None:
            return session.end_reason or str(_("ended"))
        stale = session.lease_until is not None and session.lease_until < timezone.now()
        return str(_("stale") if stale else _("live"))

    @admin.display(description=_("model"), ordering="model")
    def upstream(self, session: RealtimeSession) -> str:
        """The model that was asked for, and who answered for it when that was not the provider."""
        return session.model if session.engine == "openai" else f"{session.model} ({session.engine})"

    @admin.display(description=_("browser"), ordering="browser")
    def page(self, session: RealtimeSession) -> str:
        """Browser and device."""
        return " · ".join(filter(None, (session.browser, session.device)))

    @admin.display(description=_("duration"), ordering=F("ended_at") - F("started_at"))
    def duration(self, session: RealtimeSession) -> str:
        """Hours, minutes and seconds, of a running one so far."""
        lasted = (session.ended_at or timezone.now()) - session.started_at
        return str(timedelta(seconds=int(lasted.total_seconds())))


@admin.register(Turn)
class TurnAdmin(HistoryAdmin):
    list_display = (
        *("created_at", "person", "status", "response_latency_ms", "endpointing_ms", "first_delta_ms"),
        *("playout_start_ms", "heard_ms", "generated_ms", "response_id", "in_session"),
    )
    list_filter = (SlowFilter, StatusFilter, ("created_at", DaysFilter))
    fetched = ("session__user",)
    search_fields = ("=response_id",)
    search_help_text = _("Session id, response id or user name")
    ordering = ("-pk",)

    @admin.display(description=_("user"))
    def person(self, turn: Turn) -> str:
        """Whose session it was."""
        return turn.session.user.get_username()


@admin.register(SessionEvent)
class SessionEventAdmin(HistoryAdmin):
    hidden = ("key",)
    list_display = ("name", "person", "at_ms", "in_session")
    list_filter = (EventNameFilter,)
    fetched = ("session__user",)
    search_fields = ("=name",)
    search_help_text = _("Session id, event name or user name")
    ordering = ("-pk",)

    @admin.display(description=_("user"))
    def person(self, event: SessionEvent) -> str:
        """Whose session it was."""
        return event.session.user.get_username()


@admin.register(UsageRecord)
class UsageRecordAdmin(HistoryAdmin):
    change_list_template = "admin/realtime/usagerecord/change_list.html"
    list_display = (
        *("created_at", "person", "meter", "text_in", "audio_in", "cached_text", "cached_audio", "text_out"),
        *("audio_out", "seconds", "model", "usd", "reference", "in_session"),
    )
    list_filter = (MeterFilter, ModelFilter, ("created_at", DaysFilter))
    actions = ("export_csv", "export_jsonl")
    fetched = ("session__user",)
    search_fields = ("=reference",)
    search_help_text = _("Session id, response or item id, or user name")
    ordering = ("-pk",)

    def get_urls(self) -> list[URLPattern | URLResolver]:  # type: ignore[override]
        """With the totals."""
        from realtime.operations.totals import totals_page

        totals = path("totals/", self.admin_site.admin_view(totals_page), name="realtime_totals")
        return [totals, *super().get_urls()]

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
    search_fields = ("user__username", "user__email")
    search_help_text = _("User name or e-mail address")
    readonly_fields = ("used",)
    fieldsets = (
        (
            None,
            {
                "fields": ("scope", "user", "period", "minutes", "usd", "used"),
                "description": _(
                    "Minutes are those of voice calls. What is left empty has no limit. A person with a budget of "
                    "their own for a period has that one instead of what each person has; the site's binds everybody."
                ),
            },
        ),
    )

    @admin.display(description=_("used so far"))
    def used(self, budget: Budget) -> str:
        """Of this period, by the one person or by the site. What each person used is on the person's page."""
        if budget.pk is None or (budget.scope == Budget.Scope.EACH):
            return "–"
        minutes, usd = budgets.used(budget, timezone.now())
        return _now("%(minutes)s minutes, $%(usd)s") % {"minutes": f"{minutes:.1f}", "usd": f"{usd:.4f}"}


@admin.register(Hold)
class HoldAdmin(HistoryAdmin):
    """What is held now; empty when nobody talks or no budget binds anybody."""

    list_display = ("made_at", "person", "reference", "usd", "seconds", "in_session")
    fetched = ("session__user",)
    search_fields = ("=reference",)
    search_help_text = _("Session id or user name")
    ordering = ("-pk",)

    @admin.display(description=_("user"))
    def person(self, hold: Hold) -> str:
        """Whose session it is for."""
        return hold.session.user.get_username()
