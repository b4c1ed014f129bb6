"""JSON that no page of ours sends: the API calls it bad JSON, and never answers with an error of its own."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.exceptions import ParseError

from realtime import browser_events, upstream_events
from realtime.exceptions import BrowserError
from voiceproject.json_parser import BoundedJSONParser

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


def hostile(rng: random.Random) -> str:
    """A document made to cost more than it weighs, 64 KiB at most, or a cut-off one."""
    many = rng.choices([10, 100, 1_000, 9_000], [40, 40, 18, 2])[0]
    digit, letter = rng.choice("123456789"), rng.choice('ab"\\\x00\ud800\u2028\U0001f600')
    kinds = [
        lambda: "[" * many,
        lambda: "[" * many + "]" * many,
        lambda: '{"a":' * many + "1" + "}" * many,
        lambda: '[{"a":' * many,
        lambda: "[" + "[]," * many + "[]]",
        lambda: "{" + ",".join(f'"k{n % rng.randint(1, 9)}":{n}' for n in range(many)) + "}",
        lambda: "{" + '"type":"ping",' * min(many, 4_000) + '"t":1}',
        lambda: digit * many,
        lambda: f"-{digit}" + "0" * many + "e" + digit * min(many, 300),
        lambda: "0." + digit * many,
        lambda: f"1e{digit * min(many, 5_000)}",
        lambda: '"' + letter * many + '"',
        lambda: '"' + rng.choice([r"\u0000", r"\ud800", r"\udc00\ud800", r"\n", r"\x"]) * many + '"',
        lambda: " " * many + "{}" + "\t" * many,
        lambda: '{"type":"input.text","client_id":"c","text":' + "[" * many,
        lambda: (
            '{"type":"hello","uplink_samples":0,"client":{'
            + ",".join(f'"{n}":1e{n}' for n in range(many))
            + "}}"
        ),
        lambda: "/" + "*" * many + "/{}",
        lambda: rng.choice(
            ["NaN", "-Infinity", "nul", "tru", "'a'", "\ufeff{}", "{,}", "[1,]", '{"a"}', '{"a":}', "{}{}"]
        ),
    ]
    text = rng.choice(kinds)()[:65_000]
    return text[: rng.randint(0, len(text))] if rng.random() < 0.2 else text


def as_page(text: str) -> None:
    try:
        browser_events.parse(text)
    except BrowserError as error:
        assert error.close_code in (4400, 4413)  # noqa: PT017 - either is an answer


def as_upstream(text: str) -> None:
    try:
        upstream_events.parse(text.encode("utf-8", "replace"))
    except upstream_events.Malformed:
        pass


def as_program(text: str) -> None:
    try:
        BoundedJSONParser().parse(io.BytesIO(text.encode("utf-8", "replace")))
    except ParseError:
        pass


def test_five_thousand_hostile_documents_are_read_or_refused_in_twenty_ms_each() -> None:
    rng = random.Random(5)
    slow = []
    for number in range(5_000):
        text = hostile(rng)
        readers = (as_page, as_upstream, as_program) if number % 5 == 0 else (as_page,)
        slow += [(number, reader.__name__) for reader in readers if min(took(reader, text)) > 20]
    assert slow == []


def took(reader: Callable[[str], None], text: str) -> Iterator[float]:
    """CPU time of a read in ms, measured again when it was long: the collector of garbage may have come between."""
    for _ in range(3):
        began_s = time.thread_time()
        reader(text)
        took_ms = (time.thread_time() - began_s) * 1_000
        yield took_ms
        if took_ms <= 20:
            return
