"""The totals of the ledger as a page and as CSV: who, which model and which day used how much, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from conversations import audit
from realtime import past, usage_days
from realtime.ledger import TOKENS, csv_line
from realtime.operations.dashboard import Chart, chart
from realtime.usage_days import COUNTED

GROUPS = (("user", _("By user")), ("model", _("By model")), ("day", _("By day")))
PERIODS = ((1, _("Today")), (7, _("7 days")), (30, _("30 days")), (90, _("90 days")))
MOST_DAYS = 366
ROWS_SHOWN = 200
POSSIBLE = (MinValueValidator(usage_days.FIRST_DAY), MaxValueValidator(usage_days.LAST_DAY))
EXPORTED = ("name", "answers", "minutes", *TOKENS, "usd", "rows", "unknown")


class TotalsForm(forms.Form):
    """The filters. Both days are included, and what is not given is the last 30 days of everybody."""

    since = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"),
        validators=POSSIBLE,
    )
    until = forms.DateField(
        label=_("To"),
        required=False,
        widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"),
        validators=POSSIBLE,
    )
    user = forms.CharField(label=_("User name"), required=False, max_length=150)
    model = forms.ChoiceField(label=_("Model"), required=False)

    def __init__(self, *args: Any, today: date, models: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.fields["model"].choices = [("", _("all")), *((name, name) for name in models)]  # type: ignore[attr-defined]

    def clean_user(self) -> int | None:
        """The person's id."""
        name = self.cleaned_data["user"].strip()
        if not name:
            return None
        found = get_user_model().objects.filter(username__iexact=name).values_list("pk", flat=True).first()
        if found is None:
            raise forms.ValidationError(_("Nobody has this user name. Write it in full."))
        return int(found)

    def clean(self) -> dict[str, Any]:
        """A period that is not the wrong way round, and not without end."""
        data = self.cleaned_data
        if self.errors:
            return data
        data["until"] = data["until"] or max(self.today, data["since"] or self.today)
        data["since"] = data["since"] or data["until"] - timedelta(days=29)
        if data["since"] > data["until"]:
            raise forms.ValidationError(_("The first day comes after the last one."))
        if (data["until"] - data["since"]).days >= MOST_DAYS:
            raise forms.ValidationError(_("At most %(days)s days at a time.") % {"days": MOST_DAYS})
        return data

    def show_period(self) -> None:
        """Show the days that are meant where none were given."""
        days = {name: self.cleaned_data.get(name) for name in ("since", "until")} if self.is_valid() else {}
        given = {name: self.data.get(name, "") for name in self.fields}
        self.data = given | {name: f"{day:%Y-%m-%d}" for name, day in days.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `more`: the query of the page that shows this one's days, "" for none."""

    name: str
    sums: dict[str, Any]
    more: str = ""

    @property
    def minutes(self) -> float:
        """Of sessions."""
        return float(self.sums["seconds"]) / 60

    def exported(self) -> Iterator[Any]:
        """The cells of a line of CSV."""
        for name in EXPORTED:
            match name:
                case "name":
                    yield self.name
                case "minutes":
                    yield f"{self.minutes:.2f}"
                case "usd":
                    yield f"{self.sums['usd']:.8f}"
                case _:
                    yield self.sums[name]


@require_safe
def totals_page(request: HttpRequest) -> HttpResponse:
    """`/admin/realtime/usagerecord/totals/?by=user|model|day&since=&until=&user=&model=`, `&format=csv` as a file."""
    if not request.user.has_perm("realtime.view_usagerecord"):
        raise PermissionDenied
    now = timezone.now()
    today = timezone.localtime(now).date()
    asked = request.GET.get("by", "user")
    by = asked if asked in usage_days.KEYS else "user"
    form = TotalsForm(request.GET, today=today, models=usage_days.models_known())
    as_file = request.GET.get("format") == "csv"
    # A file is whole, however long its days take; a page shows what there is, and the next look goes on.
    go_on = (lambda: True) if as_file else past.for_s(past.LOOK_S)
    rows, left = _rows(by, form, now, go_on) if form.is_valid() else ([], 0)
    form.show_period()
    if as_file and form.is_valid():
        return _file(request, by, form, rows)
    context = {
        **admin.site.each_context(request),
        "title": _now("Totals of usage"),
        "form": form,
        "by": by,
        "person": form.cleaned_data.get("user") if form.is_valid() else None,
        "groups": [(name, text, _query(form, by=name)) for name, text in GROUPS],
        "periods": [
            (
                text,
                _query(form, by=by, since=today - timedelta(days=days - 1), until=today),
                _is(form, days, today),
            )
            for days, text in PERIODS
        ],
        "rows": rows[:ROWS_SHOWN],
        "left": left,
        "left_out": max(0, len(rows) - ROWS_SHOWN),
        "whole": Row(_now("All"), _whole(rows)),
        "chart": _chart(rows) if by == "day" and rows else None,
        "file": _query(form, by=by, format="csv"),
    }
    return TemplateResponse(request, "admin/realtime/totals.html", context)


def _rows(by: str, form: TotalsForm, now: datetime, go_on: Callable[[], bool]) -> tuple[list[Row], int]:
    """The lines of the table, and how many days are not summed up yet."""
    data = form.cleaned_data
    whose = {"user_id": data["user"], "model": data["model"]}
    sums, left = usage_days.totals(by, data["since"], data["until"], now, **whose, go_on=go_on)
    if by == "day":
        sums.sort(key=lambda row: row["key"], reverse=True)
        return [Row(f"{row['key']:%Y-%m-%d}", row) for row in sums], left
    names: dict[Any, str] = {}
    if by == "user":
        people = get_user_model().objects.filter(pk__in=[row["key"] for row in sums])
        names = dict(people.values_list("pk", "username"))
    sums.sort(key=lambda row: (-row["usd"], -row["seconds"], str(row["key"])))
    named = [(names.get(row["key"], str(row["key"])), row) for row in sums]
    return [Row(name, row, _query(form, by="day", **{by: name})) for name, row in named], left


def _whole(rows: list[Row]) -> dict[str, Any]:
    return {
        name: sum((row.sums[name] for row in rows), start=Decimal(0) if name == "usd" else 0)
        for name in COUNTED
    }


def _query(form: TotalsForm, **changes: Any) -> str:
    """The address of the page as it is filtered now, with these changes."""
    values = {name: form.data.get(name, "") for name in form.fields} | changes
    return "?" + urlencode({name: value for name, value in values.items() if value not in ("", None)})


def _is(form: TotalsForm, days: int, today: date) -> bool:
    data = form.cleaned_data
    return data.get("until") == today and data.get("since") == today - timedelta(days=days - 1)


def _chart(rows: list[Row]) -> Chart:
    oldest_first = rows[::-1]
    names = [row.name for row in oldest_first]
    return chart(_now("Cost, USD"), names, [float(row.sums["usd"]) for row in oldest_first], "{:.4f}")


def _file(request: HttpRequest, by: str, form: TotalsForm, rows: list[Row]) -> HttpResponse:
    since, until = form.cleaned_data["since"], form.cleaned_data["until"]
    audit.note(request, audit.Action.EXPORT_USAGE, reason=f"totals by {by}, {since} to {until}")
    lines = [csv_line((by, *EXPORTED[1:])), *(csv_line(row.exported()) for row in rows)]
    name = f"usage-by-{by}-{since}-{until}.csv"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(lines, content_type="text/csv; charset=utf-8", headers=disposition)
