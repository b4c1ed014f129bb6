"""Wrong passwords: on the login page, the token address and the admin, by person and address, and by person alone."""

from collections.abc import Callable
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.test import Client

from tests.security.test_retention import columns_with
from voiceproject.lockout import SENTENCE, address_of

PASSWORD = "ada-secret-1815"
Try = Callable[..., Any]


@pytest.fixture(autouse=True)
def axes_on(settings: Any) -> None:
    """Off for all other tests."""
    settings.AXES_ENABLED = True


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each password that is compared with a stored one."""
    seen: list[int] = []
    verify = MD5PasswordHasher.verify

    def counting(self: MD5PasswordHasher, password: str, encoded: str) -> bool:
        seen.append(1)
        return verify(self, password, encoded)

    monkeypatch.setattr(MD5PasswordHasher, "verify", counting)
    return seen


def at_login(username: str, password: str, **extra: Any) -> Any:
    return Client().post("/accounts/login/", {"username": username, "password": password}, **extra)


def at_admin(username: str, password: str, **extra: Any) -> Any:
    return Client().post("/admin/login/", {"username": username, "password": password}, **extra)


def at_token(username: str, password: str, **extra: Any) -> Any:
    fields = {"username": username, "password": password}
    return Client().post("/api/token/", fields, content_type="application/json", **extra)


def at_new_address(hers: Client, password: str) -> Any:
    return hers.post("/account/", {"action": "email", "email": "new@example.com", "password": password})


def at_deletion(hers: Client, password: str) -> Any:
    return hers.post("/account/", {"action": "delete", "confirmation": "ada", "password": password})


def at_new_password(hers: Client, password: str) -> Any:
    new = {"new_password1": "analytical-1843", "new_password2": "analytical-1843"}
    return hers.post("/accounts/password_change/", {"old_password": password, **new})


DOORS = pytest.mark.parametrize("door", [at_login, at_admin, at_token], ids=lambda door: door.__name__)


@DOORS
def test_of_a_hundred_wrong_passwords_five_are_compared(ada: User, hashed: list[int], door: Try) -> None:
    answers = [door("ada", f"wrong-{number}") for number in range(100)]
    assert len(hashed) <= 5
    assert answers[-1].status_code == 429
    assert SENTENCE in answers[-1].content.decode()
    assert door("ada", PASSWORD).status_code == 429


@DOORS
def test_another_forwarded_address_for_each_try_does_not_help(
    ada: User, hashed: list[int], settings: Any, door: Try
) -> None:
    for number in range(100):
        last = door("ada", "wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
    assert len(hashed) <= 5
    assert last.status_code == 429
    # Behind a proxy of ours, which writes the visitor's address behind what the visitor has made up.
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    for number in range(20):
        last = door("ada", "wrong", HTTP_X_FORWARDED_FOR=f"6.6.6.{number}, 203.0.113.7")
    assert len(hashed) <= 10
    assert last.status_code == 429


@DOORS
def test_a_lockout_does_not_tell_whether_the_account_exists(ada: User, door: Try) -> None:
    for _ in range(8):
        real, made_up = door("ada", "wrong"), door("nobody", "wrong")
        assert real.status_code == made_up.status_code
    body = real.content.decode()
    assert body.replace("ada", "nobody") == made_up.content.decode() or SENTENCE in body


def test_many_addresses_against_one_account_are_stopped_too_but_later(ada: User, hashed: list[int]) -> None:
    for number in range(80):
        last = at_login("ada", "wrong", REMOTE_ADDR=f"203.0.113.{number}")
    assert len(hashed) == 50
    assert last.status_code == 429


def test_one_address_with_wrong_passwords_does_not_lock_the_person_out_elsewhere(ada: User) -> None:
    for _ in range(20):
        at_login("ada", "wrong", REMOTE_ADDR="203.0.113.9")
    assert at_login("ada", PASSWORD, REMOTE_ADDR="198.51.100.4").status_code == 302


def test_the_three_doors_count_together(ada: User, hashed: list[int]) -> None:
    for door in (at_login, at_admin, at_token) * 4:
        door("ada", "wrong")
    assert len(hashed) <= 5


@pytest.mark.parametrize("username", [7, None, ["ada"], {"a": 1}, "x" * 5_000, "a\x00b"])
def test_odd_names_are_refused_without_an_error(db: None, username: Any) -> None:
    assert at_token(username, "wrong").status_code in (400, 401)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.1", "192.0.2.1"),
        (1, "203.0.113.1", "203.0.113.1"),
        (1, "made-up, 203.0.113.1", "203.0.113.1"),
        (2, "made-up, 203.0.113.1, 10.0.0.1", "203.0.113.1"),
        (1, "", "192.0.2.1"),
    ],
)
def test_the_address_is_the_one_that_our_outermost_proxy_saw(
    rf: Any, settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": proxies}
    request = rf.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert address_of(request) == address


@pytest.mark.parametrize(
    "form", [at_new_address, at_deletion, at_new_password], ids=lambda form: form.__name__
)
class TestFormsOfWhoIsLoggedIn:
    """At an open screen nobody may guess the password either, and what is guessed there counts at the login."""

    @pytest.fixture
    def hers(self, ada: User, page_of: Callable[[User], Client]) -> Client:
        return page_of(ada)

    def test_of_twenty_wrong_passwords_five_are_compared(
        self, hers: Client, hashed: list[int], form: Try
    ) -> None:
        answers = [form(hers, f"wrong-{number}") for number in range(20)]
        assert len(hashed) == 5
        assert [answer.status_code for answer in answers[5:]] == [429] * 15
        assert SENTENCE in answers[-1].content.decode()

    def test_the_right_one_waits_too_and_changes_nothing(self, hers: Client, form: Try) -> None:
        for _ in range(5):
            form(hers, "wrong")
        assert form(hers, PASSWORD).status_code == 429
        then = User.objects.get()
        assert (then.email, then.check_password(PASSWORD)) == ("ada@example.com", True)

    def test_they_count_with_those_at_the_login(self, hers: Client, hashed: list[int], form: Try) -> None:
        for _ in range(5):
            form(hers, "wrong")
        assert at_login("ada", PASSWORD).status_code == 429
        assert len(hashed) == 5

    def test_the_right_one_is_taken(self, hers: Client, form: Try) -> None:
        for _ in range(4):
            assert form(hers, "wrong").status_code in (200, 400)
        assert form(hers, PASSWORD).status_code == 302


def test_of_a_wrong_password_nothing_is_kept_but_that_it_was_wrong(
    ada: User, page_of: Callable[[User], Client]
) -> None:
    """Neither the old password, nearly right, nor the new one, which is right from the next try on."""
    marks = {
        "old_password": "canary-old",
        "new_password1": "canary-new-1843",
        "new_password2": "canary-new-1843",
    }
    hers = page_of(ada)
    for _ in range(2):
        hers.post("/accounts/password_change/?q=canary-query", marks)
        hers.post("/account/", {"action": "email", "email": "canary@example.com", "password": "canary-wrong"})
        at_login("ada", "canary-login", QUERY_STRING="next=canary-next")
        at_token("ada", "canary-token")
    assert AccessAttempt.objects.get().failures_since_start >= 5
    assert columns_with("canary") == []


def test_the_admins_page_for_a_new_password_is_the_sites(operator: User) -> None:
    browser = Client()
    browser.force_login(operator)
    assert browser.get("/admin/password_change/")["Location"] == "/accounts/password_change/"
