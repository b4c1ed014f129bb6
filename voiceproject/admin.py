"""The admin of users: Django's own, with deletion through `account.py` so that nothing of the person stays behind."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework_simplejwt.token_blacklist import admin as _tokens  # noqa: F401 - it registers what is taken out
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from conversations import audit
from voiceproject import account

admin.site.site_header = admin.site.site_title = _("Voice chat administration")
admin.site.unregister(User)
# Its pages would show refresh tokens that are good for somebody else's account.
for model in (OutstandingToken, BlacklistedToken):
    admin.site.unregister(model)


@admin.register(User)
class PersonAdmin(UserAdmin):
    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    ordering = ("-date_joined",)
    list_per_page = 50
    show_full_result_count = False

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete all that is kept of one person."""
        audit.note(request, audit.Action.DELETE_ACCOUNT, reason=f"account {obj.pk}")
        account.delete_person(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete all that is kept of several."""
        for user in queryset:
            audit.note(request, audit.Action.DELETE_ACCOUNT, reason=f"account {user.pk}")
            account.delete_person(user)
