"""The admin of prices and of the probe's runs, and the dashboard's page. Sessions are in `realtime/admin.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from realtime import ledger, past, probe_runs, probe_sentence
from realtime.conf import relay_config
from realtime.models import ProbeRun, RateCard
from realtime.operations.dashboard import Chart, chart, dashboard
from realtime.operations.history import HistoryAdmin
from realtime.probe import Probe
from realtime.probe_faults import FAULTS

RUNS_DRAWN = 60


def dashboard_page(request: HttpRequest) -> HttpResponse:
    """`/admin/realtime/realtimesession/dashboard/?period=day|week|month`."""
    if not request.user.has_perm("realtime.view_realtimesession"):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": _("Dashboard"),
        **dashboard(request.GET.get("period", "day"), go_on=past.for_s(past.LOOK_S)),
    }
    return TemplateResponse(request, "admin/realtime/dashboard.html", context)


@admin.register(RateCard)
class RateCardAdmin(admin.ModelAdmin):
    """Prices are dated: a new price is a new card, and old ones stay as the rows that used them were written."""

    list_display = (
        "model",
        "engine",
        "valid_from",
        "text_in",
        "text_out",
        "audio_in",
        "audio_out",
        "per_minute",
    )
    list_filter = ("engine", "model")
    search_fields = ("model",)
    fieldsets = (
        (None, {"fields": ("engine", "model", "valid_from", "note")}),
        (
            _("Prices"),
            {
                "fields": ledger.PRICES,
                "description": _(
                    "USD per million tokens, and per minute where it says so. What is left empty is unknown: usage of "
                    "it is reported without a price and not guessed. Cached parts are a part of what goes in."
                ),
            },
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: usage rows point to it."""
        return False


@admin.register(ProbeRun)
class ProbeRunAdmin(HistoryAdmin):
    change_list_template = "admin/realtime/proberun/change_list.html"
    list_display = ("started_at", "ok", "fault", "total_ms", "first_token", "first_audio", "model", "by")
    list_filter = ("ok", "fault", "started_at")
    ordering = ("-pk",)
    hidden = ("stages",)
    readonly_fields = ("advice", "each_stage")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The row, what to do about its fault, and its stages a line each."""
        return [*super().get_fields(request, obj), "advice", "each_stage"]

    @admin.display(description=_("stages"))
    def each_stage(self, run: ProbeRun) -> str:
        """As the command shows them."""
        return format_html_join("", "{}<br>", ((_stage_line(stage),) for stage in run.stages))

    @admin.display(description=_("first token, ms"))
    def first_token(self, run: ProbeRun) -> Any:
        """Of the text turn."""
        return _detail(run, "text_turn", "first_token_ms")

    @admin.display(description=_("first audio, ms"))
    def first_audio(self, run: ProbeRun) -> Any:
        """Of the spoken turn."""
        return _detail(run, "spoken_turn", "first_audio_ms")

    @admin.display(description=_("what to do"))
    def advice(self, run: ProbeRun) -> str:
        """The sentence of the probe for this fault."""
        return _now(FAULTS[run.fault].advice) if run.fault in FAULTS else ""

    def get_urls(self) -> list[URLPattern | URLResolver]:  # type: ignore[override]
        """With the address of the button."""
        run = path(
            "run/", self.admin_site.admin_view(require_POST(self.run_probe)), name="realtime_proberun_run"
        )
        return [run, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """With the button and the picture of the latest runs."""
        more = {
            "chart": _chart_of_runs(),
            "may_probe": self._may_probe(request),
            "asked": relay_config(settings),
            **(extra_context or {}),
        }
        return super().changelist_view(request, more)

    def _may_probe(self, request: HttpRequest) -> bool:
        return request.user.has_perm("realtime.add_proberun")

    def run_probe(self, request: HttpRequest) -> HttpResponse:
        """Run the probe once against the configured service, keep it, and say what came of it."""
        if not self._may_probe(request):
            raise PermissionDenied
        probe = Probe(relay_config(settings), sentence=probe_sentence.spoken())
        report = async_to_sync(probe.run)()
        run = probe_runs.store(report, by=request.user.get_username())
        if report.ok:
            messages.success(request, _("Voice works: %(ms)s ms in all.") % {"ms": run.total_ms})
        else:
            messages.error(request, f"{report.fault}: {_now(report.advice)}")
        return HttpResponseRedirect(reverse("admin:realtime_proberun_changelist"))


def _detail(run: ProbeRun, stage: str, name: str) -> Any:
    return next((row.get(name) for row in run.stages if row.get("name") == stage), None)


def _stage_line(stage: dict[str, Any]) -> str:
    mark = {True: "ok", False: "FAIL"}.get(stage.get("ok"), "n/a")  # type: ignore[arg-type]
    known = ("name", "ok", "ms", "fault")
    more = [f"{name} {value}" for name, value in stage.items() if name not in known and value is not None]
    return ", ".join(
        [f"{stage.get('name')}: {mark}", *([f"{stage['ms']} ms"] if stage.get("ms") else []), *more]
    )


def _chart_of_runs() -> Chart | None:
    runs = list(ProbeRun.objects.order_by("-pk")[:RUNS_DRAWN])[::-1]
    if not runs:
        return None
    names = [f"{run.started_at:%Y-%m-%d %H:%M}{f' ({run.fault})' if run.fault else ''}" for run in runs]
    times = [float(run.total_ms) for run in runs]
    drawn = chart(_now("Latest runs, whole time"), names, times, "{:.0f} ms", 20.0)
    bars = [bar if run.ok else replace(bar, kind="bad") for bar, run in zip(drawn.bars, runs, strict=True)]
    return replace(drawn, bars=bars)
