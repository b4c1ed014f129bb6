"""Forms that need no login and make accounts or send mails: so many an hour of one address, others are not touched."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client

SIGNUP, RESET = "/accounts/signup/", "/accounts/password_reset/"


@pytest.fixture(autouse=True)
def three_an_hour(settings: Any) -> None:
    """The count is in the cache, which outlives a test."""
    cache.clear()
    settings.FORMS_PER_HOUR = 3


def sign_up(number: int, address: str, **headers: str) -> int:
    fields = {
        "username": f"person-{number}", "email": f"p{number}@example.com",
        "password1": "analytical-1843", "password2": "analytical-1843",
    }  # fmt: skip
    return int(Client().post(SIGNUP, fields, REMOTE_ADDR=address, headers=headers).status_code)


def ask_for_reset(address: str) -> int:
    return int(Client().post(RESET, {"email": "ada@example.com"}, REMOTE_ADDR=address).status_code)


def test_one_address_makes_so_many_accounts_an_hour_and_others_go_on(db: None) -> None:
    assert [sign_up(number, "203.0.113.7") for number in range(5)] == [302, 302, 302, 429, 429]
    assert sign_up(5, "203.0.113.8") == 302
    assert User.objects.count() == 4
    assert Client().get(SIGNUP, REMOTE_ADDR="203.0.113.7").status_code == 200  # looking is free


def test_of_an_ipv6_customer_every_address_counts(db: None) -> None:
    assert [sign_up(n, f"2001:db8:1:2::{n}") for n in range(4)] == [302, 302, 302, 429]
    assert sign_up(4, "2001:db8:1:3::1") == 302


def test_another_forwarded_address_for_each_form_does_not_help(db: None, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    tries = [sign_up(n, "10.0.0.1", **{"X-Forwarded-For": f"6.6.6.{n}, 203.0.113.7"}) for n in range(5)]
    assert tries[3:] == [429, 429]


def test_nobody_is_buried_under_mails(ada: User) -> None:
    assert [ask_for_reset("203.0.113.7") for _ in range(5)] == [302, 302, 302, 429, 429]
    assert len(mail.outbox) == 3
    assert sign_up(1, "203.0.113.7") == 302  # each form has a count of its own


def test_this_machine_s_own_programs_are_not_limited(db: None) -> None:
    assert [ask_for_reset("127.0.0.1") for _ in range(6)] == [302] * 6
