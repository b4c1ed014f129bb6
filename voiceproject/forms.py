"""The forms of accounts: sign-up, e-mail, preferences, deletion. Django's own forms do the rest."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm, UserCreationForm
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations import choices
from conversations.models import Preferences
from voiceproject.lockout import is_password_of

EMAIL_TAKEN = _("Another account uses this e-mail address. Log in to it, or give another address.")
# What AUTH_PASSWORD_VALIDATORS ask for.
PASSWORD_RULES = _("At least 8 characters. Not a common password, not only digits, not like your name.")


def email_is_taken(email: str, besides: User | None = None) -> bool:
    """Whether another account has this address, in any case. Call it inside the transaction that stores the address."""
    accounts = get_user_model().objects.filter(email__iexact=email)
    return (accounts if besides is None else accounts.exclude(pk=besides.pk)).exists()


class AsksNewPassword(forms.Form):
    """A new password, twice: its rules in one sentence, and what is wrong with it beside the first of the two."""

    first, second = "new_password1", "new_password2"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[self.first].help_text = PASSWORD_RULES
        self.fields[self.second].help_text = ""

    def validate_password_for_user(self, user: User, *_args: Any) -> None:
        """As Django does it; it puts the error beside the repetition."""
        super().validate_password_for_user(user, self.first)  # type: ignore[misc]


class SignUpForm(AsksNewPassword, UserCreationForm):
    """A name, an e-mail address that no other account has, and a password twice."""

    first, second = "password1", "password2"
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        help_text=_("To set a new password when you forget yours."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = _("Letters, digits and @ . + - _")

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")

    def clean_email(self) -> str:
        """Password reset goes by e-mail, so one address is one account."""
        email = User.objects.normalize_email(self.cleaned_data["email"])
        if email_is_taken(email):
            raise forms.ValidationError(EMAIL_TAKEN, code="email_taken")
        return email


class AsksPassword(forms.Form):
    """The password of now: it is not somebody at an open screen. Wrong ones count as at the login.

    Accounts that have no password to type, as they log in elsewhere, are not asked for one.
    """

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.user = request, user
        if not user.has_usable_password():
            del self.fields["password"]

    def clean_password(self) -> str:
        """The password of now."""
        password: str = self.cleaned_data["password"]
        if not is_password_of(self.request, self.user, password):
            raise forms.ValidationError(
                _("This is not your password. Nothing was changed."), code="wrong_password"
            )
        return password


class ForgottenPasswordForm(AsksNewPassword, SetPasswordForm):
    """The new password of somebody who followed the link in a mail."""


class NewPasswordForm(AsksNewPassword, PasswordChangeForm):
    """Django's own; wrong old passwords count as at the login."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        """The password of now."""
        password: str = self.cleaned_data["old_password"]
        if not is_password_of(self.request, self.user, password):
            raise forms.ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return password


class EmailForm(AsksPassword, forms.ModelForm):
    """A new e-mail address for one's account. Who reads it can make a new password, so the present one is asked for."""

    email = forms.EmailField(label=_("E-mail address"), max_length=254)
    field_order = ("email", "password")

    class Meta:
        model = User
        fields = ("email",)

    def clean_email(self) -> str:
        """As at sign-up, one's own present address aside."""
        email = User.objects.normalize_email(self.cleaned_data["email"])
        if email_is_taken(email, besides=self.instance):
            raise forms.ValidationError(EMAIL_TAKEN, code="email_taken")
        return email


class PreferencesForm(forms.ModelForm):
    """The preferences, for the account page."""

    voice = forms.ChoiceField(label=_("Voice"), choices=choices.VOICE_CHOICES, required=False)
    turn_preset = forms.ChoiceField(label=_("Turn taking"), choices=choices.TURN_PRESET_CHOICES)
    captions = forms.BooleanField(label=_("Captions"), label_suffix="", required=False)
    language = forms.ChoiceField(label=_("Language"), choices=choices.LANGUAGE_CHOICES, required=False)
    theme = forms.ChoiceField(label=_("Colours"), choices=choices.THEME_CHOICES)
    keep = forms.ChoiceField(label=_("Kept of new conversations"), choices=choices.KEEP_CHOICES)

    class Meta:
        model = Preferences
        fields = ("voice", "turn_preset", "captions", "language", "theme", "keep")


class DeleteAccountForm(AsksPassword):
    """Typing one's user name says that the deletion is meant."""

    confirmation = forms.CharField(
        label=_("Type your user name to confirm"), widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    field_order = ("confirmation", "password")

    def clean_confirmation(self) -> str:
        """The user name, exactly."""
        confirmation: str = self.cleaned_data["confirmation"]
        if confirmation != self.user.get_username():
            raise forms.ValidationError(
                _("This is not your user name. Nothing was deleted."), code="mismatch"
            )
        return confirmation
