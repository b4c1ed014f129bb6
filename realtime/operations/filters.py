"""The filters of the admin's lists: states, days, presets of what is worth a look, values that an index names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.cache import cache
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from realtime.models import EXPENSIVE_USD, SLOW_ANSWER_MS, RateCard, RealtimeSession, Turn, UsageRecord
from realtime.usage_days import FIRST_DAY, LAST_DAY, midnight

BAD_ENDS = ("internal", "lost", "storage_stuck")  # and everything that begins with "upstream_"
MOST_VALUES = 60


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


class DaysFilter(admin.FieldListFilter):
    """From one day to another, both included, in the site's time zone. A day that is none is left out."""

    template = "admin/realtime/days_filter.html"

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        self.names = (f"{field_path}_from", f"{field_path}_to")
        super().__init__(field, request, params, model, model_admin, field_path)
        self.days = [_day(self.used_parameters.get(name)) for name in self.names]

    def expected_parameters(self) -> list[str | None]:
        """The two days of the form."""
        return list(self.names)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """One: the form, with what else is filtered by, and the addresses of the days that are asked for most."""
        today = timezone.localdate()
        ways = ((_("Any date"), None), (_("Today"), 0), (_("7 days"), 6), (_("30 days"), 29))
        yield {
            "fields": list(zip((_("From"), _("To")), self.names, self.days, strict=True)),
            "others": [
                (name, value)
                for name, values in changelist.params.items()
                if name not in self.names
                for value in (values if isinstance(values, list) else [values])
            ],
            "ways": [
                (text, self.days == days, changelist.get_query_string(self._asking(days), list(self.names)))
                for text, back in ways
                for days in ([None if back is None else today - timedelta(days=back), None],)
            ],
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of those days."""
        first, last = self.days
        if first is not None:
            queryset = queryset.filter(**{f"{self.field_path}__gte": midnight(first)})
        if last is not None:
            queryset = queryset.filter(**{f"{self.field_path}__lt": midnight(last + timedelta(days=1))})
        return queryset

    def _asking(self, days: list[date | None]) -> dict[str, str]:
        return {name: f"{day}" for name, day in zip(self.names, days, strict=True) if day is not None}


def _day(given: Any) -> date | None:
    """A day, None for what is none or cannot be asked for."""
    try:
        day = date.fromisoformat((given or [""])[-1])
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None


class TroubleFilter(admin.SimpleListFilter):
    """Sessions worth a look."""

    title = _("what stands out")
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


class ValueFilter(admin.SimpleListFilter):
    """One value of the field `parameter_name`. Asking a big table which values it holds would read all of it."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with the value that was chosen, or all."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class EngineFilter(ValueFilter):
    """Those that `RelayConfig.engine` knows."""

    title = _("engine")
    parameter_name = "engine"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """All three."""
        return [(name, name) for name in ("openai", "local", "other")]


class MeterFilter(ValueFilter):
    """What a row of usage measures."""

    title = _("meter")
    parameter_name = "meter"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """All three."""
        return UsageRecord.Meter.choices


class StatusFilter(ValueFilter):
    """How answers ended, in the upstream's words."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """All that there are."""
        return [(name, name) for name in ("completed", "cancelled", "incomplete", "failed", "in_progress")]


class ModelFilter(ValueFilter):
    """Models that have a price or are set now."""

    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """In the order of the alphabet."""
        known = set(RateCard.objects.values_list("model", flat=True))
        known |= {settings.REALTIME_MODEL, settings.REALTIME_TRANSCRIPTION_MODEL}
        return [(name, name) for name in sorted(known)]


class IndexedFilter(ValueFilter):
    """The values that the table really holds, found by jumping along the field's index: a question a value."""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """At most `MOST_VALUES`, without the empty one; a minute old at most."""
        key = f"realtime.values.{model_admin.model._meta.db_table}.{self.parameter_name}"
        return [
            (value, value) for value in cache.get_or_set(key, lambda: self._values(model_admin), 60) or ()
        ]

    def _values(self, model_admin: admin.ModelAdmin) -> list[str]:
        name = self.parameter_name
        rows = model_admin.model._default_manager.order_by(name).values_list(name, flat=True)
        found: list[str] = []
        while len(found) < MOST_VALUES:
            after = rows.filter(**{f"{name}__gt": found[-1] if found else ""}).first()
            if after is None:
                break
            found.append(after)
        return found


class EndReasonFilter(IndexedFilter):
    """Why sessions ended."""

    title = _("end reason")
    parameter_name = "end_reason"


class EventNameFilter(IndexedFilter):
    """What happened."""

    title = _("name")
    parameter_name = "name"


class BrowserFilter(IndexedFilter):
    """Browsers and their main versions."""

    title = _("browser")
    parameter_name = "browser"


class DeviceFilter(IndexedFilter):
    """Kinds of devices."""

    title = _("device")
    parameter_name = "device"
