"""JSON that no page of ours sends: the API calls it bad JSON, and never answers with an error of its own."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

DEEP = {"brackets": "[" * 100_000, "objects": '{"title":' * 50_000 + "1" + "}" * 50_000}


TAKES_JSON = pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/conversations/"),
        ("patch", "/api/preferences/"),
        ("post", "/api/voice/realtime-session"),
        ("post", "/api/token/"),
        ("post", "/api/token/refresh/"),
    ],
)


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
@TAKES_JSON
def test_json_that_is_nested_without_end_is_bad_json(ada: User, method: str, path: str, body: str) -> None:
    browser = Client(headers={"Origin": "http://testserver"})
    browser.force_login(ada)
    answer = getattr(browser, method)(path, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/json"


@TAKES_JSON
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_is_too_large_is_refused_in_the_api_s_own_shape(
    ada: User, settings: Any, method: str, path: str, kind: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    browser = Client(headers={"Origin": "http://testserver"}, enforce_csrf_checks=kind != "application/json")
    browser.force_login(ada)
    answer = getattr(browser, method)(path, '"' + "a" * 10_000 + '"', content_type=kind)
    # A form is not read at all where no cookie counts, or its CSRF token comes in a header.
    assert answer.status_code in ((413,) if kind == "application/json" else (403, 413, 415))
    assert answer["Content-Type"] == "application/json"
    assert set(answer.json()) in ({"detail"}, {"code", "message"})
    assert "aaaa" not in answer.content.decode()


def test_a_body_of_the_largest_size_is_read(ada: User, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    browser = Client()
    browser.force_login(ada)
    body = '{"title": "a"}'.ljust(10_000)
    assert browser.post("/api/conversations/", body, content_type="application/json").status_code == 201


@pytest.mark.parametrize("name", [r"\ud800", r"a\udfff", r"a\u0000", "a" * 151])
def test_a_name_that_no_account_can_have_is_a_wrong_name(db: None, name: str) -> None:
    body = f'{{"username": "{name}", "password": "x"}}'
    answer = Client().post("/api/token/", body, content_type="application/json")
    assert answer.status_code == 401


def test_a_password_of_half_letters_is_refused(ada: User) -> None:
    body = r'{"username": "ada", "password": "\ud800"}'
    answer = Client().post("/api/token/", body, content_type="application/json")
    assert answer.status_code == 400
