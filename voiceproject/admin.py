"""The admin of what is deleted through our own code: accounts, so that nothing of a person stays, and conversations."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.token_blacklist import admin as _tokens  # noqa: F401 - it registers what is taken out
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from conversations import audit
from conversations.admin import ConversationAdmin
from conversations.models import Conversation
from realtime import budgets
from realtime.models import Budget
from voiceproject import account, deletion
from voiceproject.used import used_by

admin.site.unregister([User, Conversation])
# Its pages would show refresh tokens that are good for somebody else's account.
for model in (OutstandingToken, BlacklistedToken):
    admin.site.unregister(model)


OF_SUPERUSERS = ("email", "is_staff", "is_superuser", "groups", "user_permissions")


def is_within_reach(request: HttpRequest, person: User | None) -> bool:
    """Whether staff who may change people may change this one."""
    return bool(request.user.is_superuser) or person is None or not (person.is_staff or person.is_superuser)


@admin.register(User)
class PersonAdmin(UserAdmin):
    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    ordering = ("-date_joined",)
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = ("calls", "limits")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """With what the person used, once there is a person."""
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is None else [*fieldsets, (_("Calls"), {"fields": ("calls", "limits")})]

    @admin.display(description=_("this month"))
    def calls(self, person: User) -> str:
        """Calls, minutes and money, and the ways to them."""
        month = used_by(person, timezone.now()).month
        sums = _now("%(calls)s calls, %(minutes)s minutes, $%(usd)s") % {
            "calls": month.calls,
            "minutes": f"{month.minutes:.1f}",
            "usd": f"{month.usd:.4f}{'' if month.usd_complete else ' + ?'}",
        }
        name = person.get_username()
        ways = (
            (_("Sessions"), "admin:realtime_realtimesession_changelist", {"q": name}),
            (_("Totals by day"), "admin:realtime_totals", {"by": "day", "user": name}),
        )
        links = [(reverse(view) + "?" + urlencode(query), text) for text, view, query in ways]
        return format_html("{} · {}", sums, format_html_join(" · ", '<a href="{}">{}</a>', links))

    @admin.display(description=_("budgets"))
    def limits(self, person: User) -> str:
        """How those stand that bind this person, and the way to change what the person may use."""
        lines = [(self._standing(one),) for one in budgets.standings(person.pk, timezone.now())]
        own = Budget.objects.filter(user=person).values_list("pk", flat=True)
        links = [
            (reverse("admin:realtime_budget_change", args=[pk]), _("Change their own budget")) for pk in own
        ]
        if len(links) < len(Budget.Period.values):
            add = (
                reverse("admin:realtime_budget_add")
                + "?"
                + urlencode({"scope": "one", "user": str(person.pk)})
            )
            links.append((add, _("Give a budget of their own")))
        return format_html(
            "{}{}",
            format_html_join("", "{}<br>", lines),
            format_html_join(" · ", '<a href="{}">{}</a>', links),
        )

    @staticmethod
    def _standing(one: budgets.Standing) -> str:
        period = _now("Day") if one.of_day else _now("Month")
        whose = _now("of the site") if one.for_site else _now("of this person")
        left = []
        if one.minutes_left is not None:
            left.append(
                _now("%(left)s of %(all)s minutes left")
                % {"left": f"{one.minutes_left:.1f}", "all": one.minutes}
            )
        if one.usd_left is not None:
            left.append(_now("$%(left)s of $%(all)s left") % {"left": f"{one.usd_left:.2f}", "all": one.usd})
        used = _now("%(percent)s %% used") % {"percent": one.percent}
        return f"{period}, {whose}: {', '.join([used, *left])}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by superusers. So is an address: whoever reads its mail can set a new password."""
        own = super().get_readonly_fields(request, obj)
        return own if request.user.is_superuser or obj is None else (*own, *OF_SUPERUSERS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff are changed by superusers: with somebody's account come that person's rights."""
        return super().has_change_permission(request, obj) and is_within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same."""
        return super().has_delete_permission(request, obj) and is_within_reach(request, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """For superusers: with a password of one's own making one reads what another said, and nothing notes it."""
        if not request.user.is_superuser:
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete all that is kept of one person."""
        audit.note(request, audit.Action.DELETE_ACCOUNT, reason=f"account {obj.pk}")
        account.delete_person(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete all that is kept of several."""
        for user in queryset:
            audit.note(request, audit.Action.DELETE_ACCOUNT, reason=f"account {user.pk}")
            account.delete_person(user)


@admin.register(Conversation)
class DeletedConversationAdmin(ConversationAdmin):
    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:
        """Delete one for good."""
        deletion.delete(Conversation.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        """Delete several for good."""
        deletion.delete(Conversation.objects.filter(pk__in=[obj.pk for obj in queryset]))
