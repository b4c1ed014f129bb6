"""Sign-up, login, passwords, tokens and the account page."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import MinimumLengthValidator, get_default_password_validators
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from rest_framework.test import APIClient

from conversations.models import Conversation, Preferences
from conversations.services import save_preferences
from voiceproject.forms import ForgottenPasswordForm, SignUpForm

PASSWORD = "ada-secret-1815"
NEW = {
    "username": "grace",
    "email": "grace@example.com",
    "password1": "nano-second-1906",
    "password2": "nano-second-1906",
}


@pytest.fixture
def visitor(db: None) -> Client:
    """A browser that checks CSRF as the site does, logged out."""
    return Client()


class TestSignUp:
    url = "/accounts/signup/"

    def test_it_logs_in_and_goes_to_the_chat(self, visitor: Client) -> None:
        answer = visitor.post(self.url, NEW)
        assert (answer.status_code, answer["Location"]) == (302, "/chat/")
        assert visitor.get("/chat/").status_code == 200
        user = User.objects.get()
        assert (user.username, user.email, user.is_staff, user.is_superuser) == (
            "grace",
            NEW["email"],
            False,
            False,
        )

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"email": ""}, "email"),
            ({"email": "ADA@example.COM"}, "email"),
            ({"email": "not an address"}, "email"),
            ({"username": "ada"}, "username"),
            ({"username": "ADA"}, "username"),
            ({"password2": "different-1906"}, "password2"),
            ({"password1": "12345678", "password2": "12345678"}, "password1"),
            ({"password1": "grace", "password2": "grace"}, "password1"),
        ],
    )
    def test_what_is_wrong_is_named_and_no_account_is_made(
        self, visitor: Client, ada: User, changes: dict[str, str], field: str
    ) -> None:
        answer = visitor.post(self.url, NEW | changes)
        assert answer.status_code == 200
        assert list(answer.context["form"].errors) == [field]
        assert list(User.objects.all()) == [ada]

    def test_rights_cannot_be_signed_up_for(self, visitor: Client) -> None:
        visitor.post(self.url, NEW | {"is_staff": "on", "is_superuser": "on"})
        assert not User.objects.get().is_staff

    def test_those_logged_in_are_sent_on(self, ada: User, page_of: Callable[[User], Client]) -> None:
        assert page_of(ada).get(self.url)["Location"] == "/chat/"

    @pytest.mark.parametrize(
        ("following", "goes_to"), [("/history/", "/history/"), ("https://evil.example/", "/chat/")]
    )
    def test_it_goes_on_to_addresses_of_this_site_only(
        self, visitor: Client, following: str, goes_to: str
    ) -> None:
        assert visitor.post(self.url, NEW | {"next": following})["Location"] == goes_to


class TestLogin:
    url = "/accounts/login/"

    def test_it_leads_to_where_one_wanted_to_go(self, visitor: Client, ada: User) -> None:
        assert visitor.get("/history/")["Location"] == "/accounts/login/?next=/history/"
        answer = visitor.post(
            self.url + "?next=/history/", {"username": "ada", "password": PASSWORD, "next": "/history/"}
        )
        assert answer["Location"] == "/history/"

    @pytest.mark.parametrize("credentials", [("ada", "wrong"), ("nobody", PASSWORD), ("ada", "")])
    def test_wrong_credentials_do_not_log_in(
        self, visitor: Client, ada: User, credentials: tuple[str, str]
    ) -> None:
        visitor.post(self.url, {"username": credentials[0], "password": credentials[1]})
        assert visitor.get("/chat/").status_code == 302

    def test_an_inactive_account_does_not_log_in(self, visitor: Client, ada: User) -> None:
        User.objects.update(is_active=False)
        visitor.post(self.url, {"username": "ada", "password": PASSWORD})
        assert visitor.get("/chat/").status_code == 302

    def test_an_account_that_becomes_inactive_is_logged_out(
        self, ada: User, page_of: Callable[[User], Client]
    ) -> None:
        visitor = page_of(ada)
        User.objects.update(is_active=False)
        assert visitor.get("/chat/").status_code == 302

    def test_logging_out_takes_a_post(self, ada: User, page_of: Callable[[User], Client]) -> None:
        visitor = page_of(ada)
        assert visitor.get("/accounts/logout/").status_code == 405
        answer = visitor.post("/accounts/logout/")
        assert answer["Location"] == self.url
        assert answer["Clear-Site-Data"] == '"storage"'  # a half-written message, too
        assert visitor.get("/chat/").status_code == 302

    def test_a_form_without_its_token_is_refused(self, ada: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert strict.post(self.url, {"username": "ada", "password": PASSWORD}).status_code == 403


def test_a_new_password_ends_the_other_logins(ada: User, page_of: Callable[[User], Client]) -> None:
    here, elsewhere = page_of(ada), page_of(ada)
    new = {"old_password": PASSWORD, "new_password1": "analytical-1843", "new_password2": "analytical-1843"}
    assert here.get("/accounts/password_change/").status_code == 200
    assert here.post("/accounts/password_change/", new)["Location"] == "/accounts/password_change/done/"
    assert here.get("/accounts/password_change/done/").status_code == 200
    assert here.get("/chat/").status_code == 200
    assert elsewhere.get("/chat/").status_code == 302


def test_a_forgotten_password_is_set_anew_by_mail_and_only_once(visitor: Client, ada: User) -> None:
    assert visitor.get("/accounts/password_reset/").status_code == 200
    answer = visitor.post("/accounts/password_reset/", {"email": "ADA@example.com"}, follow=True)
    assert answer.status_code == 200
    [message] = mail.outbox
    assert message.to == ["ada@example.com"]
    link = re.search(r"http://testserver(/accounts/reset/\S+)", message.body)
    assert link is not None
    form = visitor.get(link[1], follow=True)
    weak = {"new_password1": "1234567", "new_password2": "1234567"}
    assert "new_password1" in visitor.post(form.request["PATH_INFO"], weak).context["form"].errors
    new = {"new_password1": "analytical-1843", "new_password2": "analytical-1843"}
    assert visitor.post(form.request["PATH_INFO"], new, follow=True).status_code == 200
    assert visitor.login(username="ada", password="analytical-1843")
    again = Client().get(link[1], follow=True)
    assert not again.context["validlink"]


def test_the_rules_of_passwords_are_told_in_one_sentence_that_is_true() -> None:
    validators = get_default_password_validators()
    names = {type(one).__name__.removesuffix("Validator") for one in validators}
    assert names == {"UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword"}
    [shortest] = [one.min_length for one in validators if isinstance(one, MinimumLengthValidator)]
    for form in (SignUpForm(), ForgottenPasswordForm(User())):
        assert f"At least {shortest} characters" in str(form.fields[form.first].help_text)
        assert form.fields[form.second].help_text == ""


def test_an_unknown_address_gets_no_mail_and_the_same_answer(visitor: Client, ada: User) -> None:
    answer = visitor.post("/accounts/password_reset/", {"email": "nobody@example.com"})
    assert answer["Location"] == "/accounts/password_reset/done/"
    assert mail.outbox == []


class TestToken:
    """Tokens for programs, from `/api/token/`."""

    def obtain(self, api: APIClient) -> dict[str, str]:
        answer = api.post("/api/token/", {"username": "ada", "password": PASSWORD}, format="json")
        assert answer["Cache-Control"] == "no-store"
        return answer.json()

    def conversations(self, access: str) -> int:
        return APIClient(headers={"Authorization": f"Bearer {access}"}).get("/api/conversations/").status_code

    def test_it_opens_the_api(self, ada: User) -> None:
        tokens = self.obtain(APIClient())
        assert set(tokens) == {"access", "refresh"}
        assert self.conversations(tokens["access"]) == 200
        renewed = APIClient().post("/api/token/refresh/", {"refresh": tokens["refresh"]}, format="json")
        assert renewed["Cache-Control"] == "no-store"
        assert self.conversations(renewed.json()["access"]) == 200

    def test_the_refresh_token_does_not(self, ada: User) -> None:
        assert self.conversations(self.obtain(APIClient())["refresh"]) == 401

    @pytest.mark.parametrize("password", ["wrong", ""])
    def test_wrong_credentials_get_none(self, ada: User, password: str) -> None:
        answer = APIClient().post("/api/token/", {"username": "ada", "password": password}, format="json")
        assert answer.status_code in (400, 401)
        assert "access" not in answer.json()

    def test_a_new_password_ends_it(self, ada: User) -> None:
        tokens = self.obtain(APIClient())
        ada.set_password("analytical-1843")
        ada.save()
        assert self.conversations(tokens["access"]) == 401

    def test_an_inactive_account_ends_it(self, ada: User) -> None:
        tokens = self.obtain(APIClient())
        User.objects.update(is_active=False)
        assert self.conversations(tokens["access"]) == 401
        assert APIClient().post("/api/token/refresh/", tokens, format="json").status_code == 401


class TestCredentials:
    """What opens the API, and what does not."""

    def test_without_any_it_is_401(self, db: None) -> None:
        for path in ("conversations/", "preferences/", "export/"):
            answer = APIClient().get("/api/" + path)
            assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')

    def test_a_login_opens_it_with_the_csrf_token_only(self, ada: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(ada)
        assert strict.post("/api/conversations/", "{}", content_type="application/json").status_code == 403
        strict.get("/chat/")
        headers = {"X-CSRFToken": strict.cookies["csrftoken"].value}
        answer = strict.post("/api/conversations/", "{}", content_type="application/json", headers=headers)
        assert answer.status_code == 201


class TestAccountPage:
    url = "/account/"

    @pytest.fixture
    def mine(self, ada: User, page_of: Callable[[User], Client]) -> Client:
        return page_of(ada)

    def test_it_needs_a_login(self, visitor: Client) -> None:
        assert visitor.get(self.url)["Location"] == "/accounts/login/?next=/account/"

    def test_it_shows_the_address_and_leads_to_password_and_export(self, mine: Client) -> None:
        body = mine.get(self.url).content.decode()
        for part in ("ada@example.com", 'href="/accounts/password_change/"', 'href="/api/export/"'):
            assert part in body

    def test_a_new_address(self, mine: Client, ada: User) -> None:
        fields = {"action": "email", "email": "countess@example.com", "password": PASSWORD}
        assert mine.post(self.url, fields)["Location"] == self.url
        ada.refresh_from_db()
        assert ada.email == "countess@example.com"

    @pytest.mark.parametrize("fields", [{}, {"password": ""}, {"password": "wrong"}])
    def test_a_new_address_takes_the_password(self, mine: Client, ada: User, fields: dict[str, str]) -> None:
        answer = mine.post(self.url, {"action": "email", "email": "countess@example.com", **fields})
        assert answer.status_code == 400
        assert list(answer.context["email_form"].errors) == ["password"]
        ada.refresh_from_db()
        assert ada.email == "ada@example.com"

    def test_ones_own_address_may_be_given_again(self, mine: Client) -> None:
        assert (
            mine.post(
                self.url, {"action": "email", "email": "ADA@example.com", "password": PASSWORD}
            ).status_code
            == 302
        )

    @pytest.mark.parametrize("email", ["Bob@Example.com", "nonsense", ""])
    def test_a_wrong_address_is_refused(self, mine: Client, ada: User, bob: User, email: str) -> None:
        answer = mine.post(self.url, {"action": "email", "email": email, "password": PASSWORD})
        assert answer.status_code == 400
        assert list(answer.context["email_form"].errors) == ["email"]
        ada.refresh_from_db()
        assert ada.email == "ada@example.com"

    def test_preferences(self, mine: Client) -> None:
        wanted = {
            "voice": "cedar",
            "turn_preset": "patient",
            "language": "de",
            "theme": "dark",
            "keep": "nothing",
        }
        assert mine.post(self.url, {"action": "preferences", **wanted}).status_code == 302
        stored = Preferences.objects.get()
        assert {name: getattr(stored, name) for name in wanted} == wanted
        assert stored.captions is False

    def test_wrong_preferences_are_refused(self, mine: Client) -> None:
        wrong = {"turn_preset": "loud", "theme": "dark", "keep": "transcript"}
        answer = mine.post(self.url, {"action": "preferences", **wrong})
        assert answer.status_code == 400
        assert list(answer.context["preferences_form"].errors) == ["turn_preset"]
        assert not Preferences.objects.exists()

    def test_pages_speak_the_chosen_language(self, mine: Client, ada: User) -> None:
        save_preferences(owner=ada, language="de")
        answer = mine.get(self.url, headers={"Accept-Language": "en"})
        assert '<html lang="de"' in answer.content.decode()

    def test_deleting_the_account_takes_the_typed_name_and_the_password(
        self, mine: Client, ada: User, bob: User
    ) -> None:
        Conversation.objects.create(owner=ada)
        login = mine.session.session_key
        meant = {"action": "delete", "confirmation": "ada", "password": "ada-secret-1815"}
        wrong = [{"confirmation": typed} for typed in ("", "Ada", "bob")]
        wrong += [{"password": typed} for typed in ("", "ada", "bob-secret-1912", " ada-secret-1815")]
        for fields in wrong:
            answer = mine.post(self.url, meant | fields)
            assert answer.status_code == 400
            assert set(answer.context["delete_form"].errors) == set(fields)
            assert "ada-secret-1815" not in answer.content.decode()
        assert User.objects.filter(pk=ada.pk).exists()
        assert mine.post(self.url, meant)["Location"] == "/accounts/login/"
        assert list(User.objects.all()) == [bob]
        assert not Conversation.objects.exists()
        assert mine.get("/chat/").status_code == 302
        assert not Session.objects.filter(session_key=login).exists()

    def test_who_has_no_password_is_not_asked_for_it(
        self, ada: User, page_of: Callable[[User], Client]
    ) -> None:
        ada.set_unusable_password()
        ada.save()
        fields = {"action": "email", "email": "countess@example.com"}
        assert page_of(ada).post(self.url, fields)["Location"] == self.url
        answer = page_of(ada).post(self.url, {"action": "delete", "confirmation": "ada"})
        assert answer["Location"] == "/accounts/login/"
        assert not User.objects.exists()

    @pytest.mark.parametrize("action", ["", "everything"])
    def test_an_unknown_action_does_nothing(self, mine: Client, action: str) -> None:
        assert mine.post(self.url, {"action": action, "confirmation": "ada"}).status_code == 400
        assert User.objects.filter(username="ada").exists()
