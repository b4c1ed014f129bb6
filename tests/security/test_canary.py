"""Marked secrets and words go through a real session; none of them is found where only operators look."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin import site as admin_site
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from realtime import admission
from tests.realtime.page import Page, silence, tone
from tests.security.test_retention import columns_with
from voiceproject.env import Secret
from voiceproject.logs import JsonFormatter, LineFormatter, MaskingFilter, masked

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-canary-KEY1234567890"
SPOKEN, ANSWERED, TYPED = "canary-SPOKEN-turnips", "canary-ANSWERED-parsnips", "canary-TYPED-swedes"
SCRIPT = [{"hears": SPOKEN, "says": ANSWERED, "audio_ms": 200}, {"says": ANSWERED, "audio_ms": 200}]


def found(text: str, *canaries: str) -> list[str]:
    return [canary for canary in canaries if canary in text]


async def a_marked_session(make_site: Any, ada: User, settings: Any, **config: Any) -> Page:
    """Speech, typing and an end; returns the page, which has its token and all that it was told."""
    settings.OPENAI_API_KEY = Secret(KEY)
    site = await make_site(SCRIPT, **config)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(tone(400) + silence(900))
        await page.until("audio.end")
        await page.say("input.text", text=TYPED, client_id="c1")
        await page.until("response.done", status="completed")
        await page.say("session.end")
        await page.until_closed()
    await site.switchboard.journal.flush(5)
    return page


async def test_a_session_leaves_no_secret_and_no_word_in_logs_admin_lists_or_metrics(
    make_site: Any, ada: User, operator: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("realtime", "django", "uvicorn", "channels"):
        caplog.set_level(logging.DEBUG, logger=name)
    page = await a_marked_session(make_site, ada, settings)
    token = str(page.minted["token"])
    canaries = (KEY, token, SPOKEN, ANSWERED, TYPED)
    assert found(json.dumps(page.received) + json.dumps(page.minted["voice_config"]), KEY, token) == []
    assert [await sync_to_async(columns_with)(secret) for secret in (KEY, token)] == [[], []]
    assert await sync_to_async(columns_with)(TYPED) == [
        "conversations_message.text"
    ]  # there, where it belongs
    ours = [record for record in caplog.records if not record.name.startswith("realtime.local")]
    assert [record.name for record in ours]
    assert found("\n".join(record.getMessage() for record in ours), *canaries) == []
    pages = await sync_to_async(pages_of_operators)(operator)
    assert "ada" in pages
    assert found(pages, *canaries) == []


def pages_of_operators(operator: User) -> str:
    """Every list of the admin, every row's own page, and the metrics."""
    browser = Client()
    browser.force_login(operator)
    texts = [browser.get("/metrics").content.decode(), browser.get("/admin/").content.decode()]
    for model in admin_site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        texts.append(browser.get(reverse(f"{name}_changelist")).content.decode())
        rows = model._default_manager.all()[:5]
        addresses = [reverse(f"{name}_change", args=[row.pk]) for row in rows]
        texts += [browser.get(address).content.decode() for address in addresses]
    return "\n".join(texts)


def test_an_error_page_and_its_log_hold_nothing_of_the_request(
    ada: User, settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OPENAI_API_KEY = Secret(KEY)

    def broken(**_fields: Any) -> None:
        raise RuntimeError("broken for the test")

    monkeypatch.setattr(admission, "mint", broken)
    browser = Client(raise_request_exception=False)
    browser.force_login(ada)
    cookie = browser.cookies["sessionid"].value
    answer = browser.post(
        f"/api/voice/realtime-session?q={TYPED}", {"note": TYPED}, "application/json",
        headers={"Origin": "http://testserver"},
    )  # fmt: skip
    assert answer.status_code == 500
    lines = "\n".join(LineFormatter().format(record) for record in caplog.records)
    for text in (answer.content.decode(), lines):
        assert found(text, KEY, TYPED, cookie) == []


def test_a_page_that_is_not_found_repeats_nothing_of_its_address(db: None) -> None:
    answer = Client().get(f"/{TYPED}/?q={SPOKEN}")
    assert answer.status_code == 404
    assert found(answer.content.decode(), TYPED, SPOKEN) == []


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh12345",
        "ek_abcdefgh12345",
        "Bearer abc.def-123",
        "bearer eyJhbGciOi.J9",
        "t.eyJqdGkiOiJhYmNkZWZnaCJ9.c2lnbmF0dXJl",
        "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoxfQ.c2ln",
        "sessionid=a8s7d6f8as7d6f",
    ],
)
def test_what_looks_like_a_secret_is_masked(secret: str) -> None:
    value = secret.split(" ")[-1].split("=")[-1]
    assert value not in masked(f"it said {secret} and went on")
    assert masked(f"it said {secret} and went on").endswith("and went on")


@pytest.mark.parametrize(
    "line",
    [
        '"GET /history/?q=what+I+said HTTP/1.1" 200',
        "GET http://testserver/accounts/reset/?token=what+I+said",
        "WebSocket wss://h/ws/realtime/?x=what+I+said [accepted]",
    ],
)
def test_query_strings_are_not_logged(line: str) -> None:
    assert "what+I+said" not in masked(line)
    assert line.split("?")[0] in masked(line)


def record(message: str, *arguments: Any, **more: Any) -> logging.LogRecord:
    return logging.LogRecord(
        "realtime.test", logging.INFO, "f.py", 1, message, arguments, more.get("exc_info")
    )


def test_a_json_line_names_the_session_and_masks() -> None:
    entry = json.loads(
        JsonFormatter().format(record("session %s ended: %s", "0" * 8 + "-0000-0000-0000-" + "0" * 12, KEY))
    )
    assert entry["session"] == "00000000-0000-0000-0000-000000000000"
    assert set(entry) == {"time", "level", "logger", "message", "session"}
    assert KEY not in entry["message"]


def test_a_json_line_of_an_exception_has_its_type_and_place_but_not_its_text() -> None:
    try:
        raise ValueError(SPOKEN)
    except ValueError as error:
        line = JsonFormatter().format(record("broke", exc_info=(type(error), error, error.__traceback__)))
    assert json.loads(line)["error"] == "ValueError"
    assert SPOKEN not in line


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\u2028", "\x85", "\v"])
@pytest.mark.parametrize("formatter", [LineFormatter(), JsonFormatter()])
def test_a_line_break_does_not_make_a_second_entry(break_: str, formatter: logging.Formatter) -> None:
    assert len(formatter.format(record("name %s", f"ada{break_}2026 INFO forged")).splitlines()) == 1


def test_the_filter_masks_before_any_handler_formats() -> None:
    entry = record("key %s", KEY)
    assert MaskingFilter().filter(entry)
    assert KEY not in entry.getMessage()


def test_the_site_s_own_handlers_mask(settings: Any) -> None:
    for handler in settings.LOGGING["handlers"].values():
        assert "masking" in handler["filters"]
    for formatter in settings.LOGGING["formatters"].values():
        assert formatter["()"].startswith("voiceproject.logs.")


def test_pages_store_choices_ids_and_drafts_in_a_browser_and_no_token() -> None:
    scripts = {path: path.read_text("utf-8") for path in (ROOT / "static").rglob("*.js")}
    writing = [
        path
        for path, text in scripts.items()
        if re.search(r"setItem|indexedDB|caches\.|\.cookie\s*=[^=]", text)
    ]
    assert {path.name for path in writing} == {"composer.js", "kept_choices.js", "kept_session.js"}
    assert not [
        path.name for path in writing if re.search("token|secret|password", scripts[path], re.IGNORECASE)
    ]
