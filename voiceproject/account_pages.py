"""The pages of one's account that Django does not bring: sign-up, and the account page with its three forms.

What deletion and export do is in `account.py`.
"""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.contrib.auth.views import (
    LoginView,
    LogoutView,
    PasswordChangeView,
    PasswordResetView,
    RedirectURLMixin,
)
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, View

from conversations import audit, services
from conversations.management.commands.demo_account import DEMO
from conversations.models import Preferences
from conversations.views import private_page
from realtime import ownership
from voiceproject import account, pace
from voiceproject.forms import DeleteAccountForm, EmailForm, NewPasswordForm, PreferencesForm, SignUpForm


@method_decorator([sensitive_post_parameters(), never_cache, ensure_csrf_cookie], name="dispatch")
class SignUp(RedirectURLMixin, FormView):
    """Make an account, log in to it, go to the chat (or to a `next` address of this site)."""

    form_class = SignUpForm
    template_name = "registration/signup.html"
    next_page = "chat"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Those who are logged in have an account already; one address makes so many an hour."""
        if request.user.is_authenticated:
            return redirect(self.next_page)
        if request.method == "POST" and pace.is_too_often(request, "signup"):
            return pace.wait(request)
        return super().dispatch(request, *args, **kwargs)

    @transaction.atomic
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """One transaction from the check of name and address to the account, and one sign-up at a time."""
        ownership.hold(ownership.ACCOUNTS)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        """Log in to the new account."""
        login(self.request, form.save(), backend="django.contrib.auth.backends.ModelBackend")
        return super().form_valid(form)


@method_decorator([sensitive_post_parameters("password"), private_page], name="dispatch")
class Account(View):
    """E-mail, preferences and deletion on one page.

    Context: `email_form`, `preferences_form`, `delete_form`. A POST names its form in `action`: "email",
    "preferences" or "delete". What was wrong comes back in the form (status 400); what was done is told by a message.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        """The page."""
        return self._page(request)

    @transaction.atomic
    def post(self, request: HttpRequest) -> HttpResponse:
        """Carry out one of the three forms."""
        match request.POST.get("action"):
            case "email":
                return self._email(request)
            case "preferences":
                return self._preferences(request)
            case "delete":
                return self._delete(request)
        return self._page(request, status=400)

    def _email(self, request: HttpRequest) -> HttpResponse:
        ownership.hold(ownership.ACCOUNTS)
        # A copy, so that a wrong address is not shown as this person's own in the rest of the page.
        person = User.objects.get(pk=_person(request).pk)
        form = EmailForm(request, person, request.POST, instance=person)
        if not form.is_valid():
            return self._page(request, status=400, email_form=form)
        form.save()
        messages.success(request, _("Your e-mail address was changed."))
        return redirect("account")

    def _preferences(self, request: HttpRequest) -> HttpResponse:
        form = PreferencesForm(request.POST)
        if not form.is_valid():
            return self._page(request, status=400, preferences_form=form)
        services.save_preferences(owner=request.user, **form.cleaned_data)
        messages.success(request, _("Your preferences were saved."))
        return redirect("account")

    def _delete(self, request: HttpRequest) -> HttpResponse:
        form = DeleteAccountForm(request, _person(request), request.POST, auto_id="delete_%s")
        if not form.is_valid():
            return self._page(request, status=400, delete_form=form)
        user = _person(request)
        audit.note(request, audit.Action.DELETE_ACCOUNT, reason=f"account {user.pk}")
        logout(request)
        account.delete_person(user)
        messages.success(request, _("Your account and everything in it were deleted."))
        return forget(redirect("login"))

    def _page(self, request: HttpRequest, status: int = 200, **forms: Any) -> HttpResponse:
        context = {
            "email_form": EmailForm(request, _person(request), instance=_person(request)),
            "preferences_form": PreferencesForm(instance=Preferences.of(request.user)),
            "delete_form": DeleteAccountForm(request, _person(request), auto_id="delete_%s"),
        }
        return render(request, "account.html", context | forms, status=status)


class LogIn(LoginView):
    """Django's page; where one tries the site out, it also says with which account."""

    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With `demo`, a name and a password, in development only, as long as there is such an account."""
        is_there = settings.DEBUG and User.objects.filter(username=DEMO[0], is_active=True).exists()
        return super().get_context_data(**kwargs) | {"demo": DEMO if is_there else None}


class LogOut(LogoutView):
    """Django's page; what the browser kept of this person, such as a half-written message, goes too."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """To the login."""
        return forget(super().post(request, *args, **kwargs))


def forget(answer: HttpResponse) -> HttpResponse:
    """Have the browser clear away what our pages stored in it."""
    answer["Clear-Site-Data"] = '"storage"'
    return answer


class ForgottenPassword(PasswordResetView):
    """Django's page; one address has so many mails sent an hour."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same answer whether there is such an account or not."""
        if pace.is_too_often(request, "password_reset"):
            return pace.wait(request)
        return super().post(request, *args, **kwargs)


class NewPassword(PasswordChangeView):
    """Django's page, in whose form wrong passwords count as at the login."""

    form_class = NewPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        """With the request, which says from where it is tried."""
        return {**super().get_form_kwargs(), "request": self.request}


def _person(request: HttpRequest) -> User:
    """Who is logged in; `private_page` lets nobody else through."""
    return cast(User, request.user)
