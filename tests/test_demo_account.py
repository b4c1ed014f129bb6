"""The command that makes the accounts to try the site with."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

DEMO = {"username": "demo", "password": "demo-voice-2026"}
OPERATOR = {"username": "operator", "password": "operator-voice-2026"}


def run() -> str:
    out = StringIO()
    call_command("demo_account", stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def debug(settings: Settings) -> None:
    """Test runs turn DEBUG off."""
    settings.DEBUG = True


def test_both_accounts_log_in_and_only_one_is_an_operator(db: None) -> None:
    told = run()
    for account in (DEMO, OPERATOR):
        assert Client().login(**account)
        assert all(word in told for word in account.values())
    assert list(User.objects.order_by("username").values_list("username", "is_staff", "is_superuser")) == [
        ("demo", False, False),
        ("operator", True, True),
    ]


def test_the_login_says_how_to_try_it_out_in_development_only(db: None, settings: Settings) -> None:
    def said() -> bool:
        return DEMO["password"] in Client().get("/accounts/login/").content.decode()

    assert not said()  # there is no such account
    run()
    assert said()
    settings.DEBUG = False
    assert not said()


def test_a_second_run_changes_nothing_and_keeps_people_logged_in(db: None) -> None:
    run()
    page = Client()
    page.login(**DEMO)
    before = list(User.objects.order_by("pk").values("pk", "password", "email", "is_staff"))
    run()
    assert list(User.objects.order_by("pk").values("pk", "password", "email", "is_staff")) == before
    assert page.get("/chat/").status_code == 200


def test_what_was_changed_is_repaired(db: None) -> None:
    run()
    demo = User.objects.get(username="demo")
    demo.set_password("forgotten")
    demo.is_active, demo.is_staff = False, True
    demo.save()
    run()
    demo.refresh_from_db()
    assert Client().login(**DEMO)
    assert not demo.is_staff


def test_without_debug_it_refuses_and_makes_nothing(db: None, settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="only with DEBUG=true"):
        run()
    assert not User.objects.exists()
