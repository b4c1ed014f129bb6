"""How the admin shows tables of what happened: to look at, never to change, and quick however many rows there are."""

from __future__ import annotations

from functools import cached_property, reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from conversations.admin import HidesFields

MOST_PEOPLE = 200  # whose names match a search
REACHED = 10_000  # rows that the pages of a list lead to; filters and search find the others


class BoundedPaginator(Paginator):
    """Counts no further than its pages lead: to count millions of rows takes longer than everything else together."""

    @cached_property
    def _found(self) -> int:
        # Without their order: to count some rows, no database has to sort all of them.
        return int(self.object_list.order_by()[: REACHED + 1].count())  # type: ignore[attr-defined]

    @cached_property
    def count(self) -> int:
        """How many rows there are, `REACHED` at most."""
        return min(self._found, REACHED)

    @property
    def is_bounded(self) -> bool:
        """Whether there are more than the pages lead to."""
        return self._found > REACHED


class HistoryAdmin(HidesFields):
    """Rows that are records of what happened: nobody adds or changes them, and they go only with their owner."""

    list_per_page = 50
    paginator = BoundedPaginator
    change_list_template = "admin/realtime/history_list.html"
    # The count of all rows beside the count of those found is a second scan of the biggest tables.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count of all rows for every choice of every filter
    # What the rows of a list refer to, asked for after the rows are known. A join (`list_select_related`) would let the
    # database begin with the other table, and sort all of this one.
    fetched: tuple[str, ...] = ()
    session_field, user_field = "session_id", "session__user_id"
    list_select_related = ()  # False would be a join too, for a list that shows what another table holds

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the rows refer to."""
        return super().get_queryset(request).prefetch_related(*self.fetched)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By a session's id, by whose it is, else by `search_fields`: one index at a time, never a join of all."""
        term = search_term.strip()
        if not term or not self.search_fields:
            return queryset, False
        try:
            return queryset.filter(**{self.session_field: UUID(term)}), False
        except ValueError:
            pass
        named = get_user_model().objects.filter(Q(username__icontains=term) | Q(email__icontains=term))
        if people := list(named.values_list("pk", flat=True)[:MOST_PEOPLE]):
            return queryset.filter(**{f"{self.user_field}__in": people}), False
        exact = [Q(**{name.lstrip("="): term}) for name in self.search_fields]
        return queryset.filter(reduce(or_, exact)), False

    @admin.display(description=_("session"))
    def in_session(self, row: Any) -> str:
        """The way to the page of the session that the row belongs to."""
        address = reverse("admin:realtime_realtimesession_change", args=[row.session_id])
        return format_html('<a href="{}">{}</a>', address, row.session_id)

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
