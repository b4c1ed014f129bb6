"""JSON that no page of ours sends: the API calls it bad JSON, and never answers with an error of its own."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

DEEP = {"brackets": "[" * 100_000, "objects": '{"title":' * 50_000 + "1" + "}" * 50_000}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/conversations/"),
        ("patch", "/api/preferences/"),
        ("post", "/api/voice/realtime-session"),
        ("post", "/api/token/"),
        ("post", "/api/token/refresh/"),
    ],
)
def test_json_that_is_nested_without_end_is_bad_json(ada: User, method: str, path: str, body: str) -> None:
    browser = Client(headers={"Origin": "http://testserver"})
    browser.force_login(ada)
    answer = getattr(browser, method)(path, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("name", [r"\ud800", r"a\udfff", r"a\u0000", "a" * 151])
def test_a_name_that_no_account_can_have_is_a_wrong_name(db: None, name: str) -> None:
    body = f'{{"username": "{name}", "password": "x"}}'
    answer = Client().post("/api/token/", body, content_type="application/json")
    assert answer.status_code == 401


def test_a_password_of_half_letters_is_refused(ada: User) -> None:
    body = r'{"username": "ada", "password": "\ud800"}'
    answer = Client().post("/api/token/", body, content_type="application/json")
    assert answer.status_code == 400
