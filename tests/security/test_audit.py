"""Exports and deletions are noted: who, what, when, from where. Never content, never what was refused."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.models import AuditEntry
from conversations.services import create_conversation
from realtime.models import RealtimeSession

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
