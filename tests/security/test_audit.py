"""Exports and deletions are noted: who, what, when, from where. Never content, never what was refused."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from conversations.models import AuditEntry
from conversations.services import create_conversation
from realtime.models import RealtimeSession
from voiceproject.logs import JsonFormatter, LineFormatter

WORDS = "canary-title-of-hers"


def logged_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def noted() -> list[tuple[str, int | None]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "actor_id"))


@pytest.mark.parametrize("form", ["json", "markdown", "webvtt"])
def test_the_export_of_a_conversation_is_noted(ada: User, form: str) -> None:
    conversation = create_conversation(owner=ada, title=WORDS)
    assert logged_in(ada).get(f"/api/conversations/{conversation.pk}/export/{form}/").status_code == 200
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.conversation_id) == ("export_conversation", ada, conversation.pk)
    assert entry.address == "127.0.0.1"
    assert WORDS not in str(vars(entry))


def test_what_was_not_given_is_not_noted(ada: User, bob: User) -> None:
    conversation = create_conversation(owner=ada, title=WORDS)
    his = logged_in(bob)
    assert his.get(f"/api/conversations/{conversation.pk}/export/json/").status_code == 404
    assert his.get(f"/api/conversations/{conversation.pk}/export/nothing/").status_code == 404
    assert his.delete(f"/api/conversations/{conversation.pk}/").status_code == 404
    assert Client().get("/api/export/").status_code == 401
    assert noted() == []


def test_the_export_of_an_account_and_the_deletion_of_a_conversation_are_noted(ada: User) -> None:
    conversation = create_conversation(owner=ada, title=WORDS)
    hers = logged_in(ada)
    hers.get("/api/export/")
    hers.delete(f"/api/conversations/{conversation.pk}/")
    assert noted() == [("export_account", ada.pk), ("delete_conversation", ada.pk)]


def test_a_deleted_account_stays_noted_by_its_number_alone(ada: User) -> None:
    hers, number = logged_in(ada), ada.pk
    hers.get("/api/export/")
    assert (
        hers.post(
            "/account/", {"action": "delete", "confirmation": "ada", "password": "ada-secret-1815"}
        ).status_code
        == 302
    )
    assert not User.objects.filter(pk=number).exists()
    assert noted() == [("export_account", None), ("delete_account", None)]
    assert list(AuditEntry.objects.values_list("address", flat=True)) == ["", ""]
    assert AuditEntry.objects.latest("pk").reason == f"account {number}"


def test_staff_who_delete_an_account_or_export_usage_are_noted(ada: User, operator: User) -> None:
    theirs, number = logged_in(operator), ada.pk
    session = RealtimeSession.objects.create(id=uuid4(), user=ada, modality="text", engine="local", model="m")
    row = session.usage.create(meter="response", reference="r")
    chosen = {"action": "export_csv", "_selected_action": [str(row.pk)]}
    assert theirs.post("/admin/realtime/usagerecord/", chosen).status_code == 200
    assert theirs.post(f"/admin/auth/user/{number}/delete/", {"post": "yes"}).status_code == 302
    assert noted() == [("export_usage", operator.pk), ("delete_account", operator.pk)]


def test_the_address_is_the_one_that_our_outermost_proxy_saw(ada: User, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    logged_in(ada).get("/api/export/", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
    assert AuditEntry.objects.get().address == "203.0.113.9"


async def test_who_did_what_when_and_from_where_can_be_told_afterwards(
    make_site: Any, ada: User, operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    """One of each: login, failure, tokens of a program, refusal, mint, connection, ends, logout; then the rows."""
    for name in ("realtime", "voiceproject"):
        caplog.set_level(logging.INFO, logger=name)
    site = await make_site()
    browser = Client()

    def log_in() -> None:
        fields = {"username": "ada", "password": "ada-secret-1815"}
        browser.post("/accounts/login/", {**fields, "password": WORDS})
        browser.post("/accounts/login/", fields)
        browser.post("/api/token/", fields, content_type="application/json")
        browser.post(
            "/api/voice/realtime-session", {"conversation_id": str(uuid4())}, content_type="application/json",
            headers={"Origin": "http://testserver"},
        )  # fmt: skip

    await sync_to_async(log_in)()
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.say("session.end")
        await page.until_closed()
    async with await site.page(ada) as revoked:
        await revoked.until("ready")
        await sync_to_async(end_in_admin)(operator, revoked.minted["session_id"])
        await revoked.until_closed()
    await sync_to_async(browser.post)("/accounts/logout/")
    await site.switchboard.journal.flush(5)

    first, second = page.minted["session_id"], revoked.minted["session_id"]
    lines = [JsonFormatter().format(record) for record in caplog.records]
    told = [json.loads(line) for line in lines]
    for expected in (
        "a login failed from 127.0.0.1",
        f"account {ada.pk} logged in from 127.0.0.1",
        f"account {ada.pk} has tokens for a program at 127.0.0.1",
        f"account {ada.pk} was refused a session: conversation.not_found",
        f"session {first} was granted to account {ada.pk}",
        f"session {first} is opened from 127.0.0.1",
        f"session {first} ended: person_ended",
        f"session {second} ended: operator",
        f"account {ada.pk} logged out from 127.0.0.1",
    ):
        [entry] = [entry for entry in told if entry["message"] == expected]
        assert datetime.fromisoformat(entry["time"]).utcoffset() == timedelta(0)
        assert ("session" in entry) == expected.startswith("session")
    assert not [line for line in lines if WORDS in line or "ada-secret" in line]
    row = await RealtimeSession.objects.aget(pk=second)
    assert (row.user_id, row.end_reason) == (ada.pk, "operator")
    assert row.ended_at is not None
    assert row.started_at < row.ended_at
    noted = await LogEntry.objects.aget()
    assert (noted.user_id, noted.object_id) == (operator.pk, second)


def end_in_admin(operator: User, session_id: str) -> None:
    chosen = {"action": "end_sessions", "_selected_action": [session_id]}
    assert logged_in(operator).post("/admin/realtime/realtimesession/", chosen).status_code == 302


@pytest.mark.parametrize("name", ["a\r\nb", "a\u2028b", "a\x85b", "\x1b[31ma", "x" * 5_000])
def test_a_name_that_is_typed_forges_no_line_and_is_in_none(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    settings.AXES_ENABLED = True
    caplog.set_level(logging.INFO)
    for _ in range(7):
        Client().post("/accounts/login/", {"username": name, "password": WORDS})
    lines = [LineFormatter().format(record) for record in caplog.records]
    assert sum("a login failed from 127.0.0.1" in line for line in lines) == 7
    assert not [line for line in lines if name in line or WORDS in line or len(line.splitlines()) != 1]
