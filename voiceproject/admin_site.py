"""The admin as a whole: its front page, and lists that answer to every filter. Single lists are with their apps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.sites import AdminSite
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

PATTERNS = ("__regex", "__iregex")


class CarefulChangeList(ChangeList):
    """Django's list. A filter typed into the address may be one that no database can look up: the year 99999, say."""

    def get_results(self, request: HttpRequest) -> None:
        """As Django does it. Raises IncorrectLookupParameters for what cannot be looked up."""
        try:
            super().get_results(request)
        except (ValueError, OverflowError, DataError) as error:
            if not self.filter_params:
                raise
            raise IncorrectLookupParameters(error) from error


class CarefulLists(ModelAdmin):
    """What every list of the admin has, whoever registers it."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The careful one."""
        return CarefulChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """No patterns: no index knows them, and some take for ever. Raises IncorrectLookupParameters for one."""
        if lookup.endswith(PATTERNS):
            raise IncorrectLookupParameters
        return super().lookup_allowed(lookup, value, request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What an address gives to a new row, as its columns hold it; what they cannot hold is left out."""
        initial: dict[str, Any] = {}
        for name, value in super().get_changeform_initial_data(request).items():
            try:
                column: Any = self.opts.get_field(name)
                column = getattr(column, "target_field", column)
                if not isinstance(value, list):  # of several, which are looked up one by one
                    value = column.to_python(value)
                    column.run_validators(value)
            except (FieldDoesNotExist, ValidationError):
                continue
            initial[name] = value
        return initial

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """With a sentence for those whose filter was dropped."""
        if request.method == "GET" and ERROR_FLAG in request.GET:
            messages.warning(
                request, _("Nothing can be found in this way. The list is shown without a filter.")
            )
        return super().changelist_view(request, extra_context)


class VoiceAdminSite(AdminSite):
    """The site at `/admin/`."""

    site_header = site_title = _("Voice chat administration")
    index_template = "admin/voice_index.html"

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin] | None = None,
        **options: Any,
    ) -> None:
        """As Django does it, with careful lists."""
        own = admin_class or ModelAdmin
        careful = type(own.__name__, (CarefulLists, own), {"__module__": own.__module__})
        super().register(model_or_iterable, careful, **options)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """With the figures of the last day, and the ways to the pages that no table has."""
        return super().index(request, {**_overview(request), **(extra_context or {})})


def _overview(request: HttpRequest) -> dict[str, Any]:
    from realtime import past
    from realtime.models import ProbeRun
    from realtime.operations.dashboard import dashboard

    user: Any = request.user
    if not user.has_perm("realtime.view_realtimesession"):
        return {}
    return {
        "voice": dashboard("day", go_on=past.for_s(past.LOOK_S)),
        "probe": ProbeRun.objects.order_by("-pk").first()
        if user.has_perm("realtime.view_proberun")
        else None,
        "lists": {
            "sessions": reverse("admin:realtime_realtimesession_changelist"),
            "probe": reverse("admin:realtime_proberun_changelist"),
        },
    }
