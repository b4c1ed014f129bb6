"""Staff read what people said with a permission, for a reason, and never unnoticed."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from conversations.models import AuditEntry, Conversation
from conversations.services import create_conversation, record_message

SECRET = "my turnips are secret"
REASON = "The person asked for help in ticket 4711."


@pytest.fixture
def talk(ada: User) -> Conversation:
    """A conversation of Ada's, whose title and message tell the secret."""
    conversation = create_conversation(owner=ada, title=SECRET)
    record_message(
        conversation_id=conversation.pk, session_id=uuid4(), item_id="i", position=1, role="user",
        modality="text", status="completed", text=SECRET,
    )  # fmt: skip
    return conversation


@pytest.fixture
def staff_with(db: None) -> Callable[..., Client]:
    """`staff_with("view_conversation")`: the browser of somebody with these permissions."""

    def log_in(*codenames: str) -> Client:
        person = User.objects.create_user("staff", password="x", is_staff=True)
        person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        browser = Client()
        browser.force_login(person)
        return browser

    return log_in


def address(talk: Conversation) -> str:
    return reverse("admin:conversations_conversation_read", args=[talk.pk])


@pytest.mark.parametrize("rights", [(), ("view_conversation",), ("view_message", "view_conversation")])
def test_without_the_permission_it_is_refused_and_nothing_is_noted(
    talk: Conversation, staff_with: Callable[..., Client], rights: tuple[str, ...]
) -> None:
    browser = staff_with(*rights)
    for answer in (browser.get(address(talk)), browser.post(address(talk), {"reason": REASON})):
        assert answer.status_code == 403
        assert SECRET not in answer.content.decode()
    assert not AuditEntry.objects.exists()


def every_admin_address(talk: Conversation) -> Iterator[str]:
    """Each list, each row's pages, and the pages of our own, whatever they answer."""
    conversation_session = talk.realtime_sessions.get()
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_add")
        for row in model._default_manager.all()[:5]:
            for page in ("change", "delete", "history"):
                yield reverse(f"{name}_{page}", args=[row.pk])
    yield from (reverse("admin:index"), reverse("admin:realtime_dashboard"), reverse("admin:realtime_totals"))
    yield from (address(talk), reverse("admin:realtime_listen", args=[conversation_session.pk]))
    where = {"app_label": "realtime", "model_name": "budget", "field_name": "user"}
    yield f"{reverse('admin:autocomplete')}?{urlencode(where)}"
    for lookup in ("q", "title", "messages__text", "o", "e"):
        yield f"{reverse('admin:conversations_conversation_changelist')}?{urlencode({lookup: SECRET})}"


def test_with_every_permission_but_that_one_no_address_of_the_admin_tells_a_word(
    talk: Conversation, staff_with: Callable[..., Client]
) -> None:
    session = talk.realtime_sessions.create(
        id=uuid4(),
        user=talk.owner,
        modality="voice",
        engine="local",
        model="m",
        auth_hash="canary-a",
        login_key="canary-k",
    )
    session.events.create(at_ms=1, name="ended")
    session.usage.create(meter="response", reference="r")
    all_but_one = Permission.objects.exclude(codename="view_content").values_list("codename", flat=True)
    browser = staff_with(*all_but_one)
    seen = {url: browser.get(url, follow=True) for url in every_admin_address(talk)}
    assert len([url for url, answer in seen.items() if answer.status_code == 200]) >= 30
    # What was asked for comes back in the field of the search.
    told = {
        url
        for url, answer in seen.items()
        if SECRET in answer.content.decode().replace(f'value="{SECRET}"', "")
    }
    assert told == set()
    assert not [url for url, answer in seen.items() if "canary-" in answer.content.decode()]
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("reason", ["", "   ", "because"])
def test_without_a_reason_nothing_is_shown(
    talk: Conversation, staff_with: Callable[..., Client], reason: str
) -> None:
    browser = staff_with("view_conversation", "view_content")
    for answer in (browser.get(address(talk)), browser.post(address(talk), {"reason": reason})):
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()
    assert not AuditEntry.objects.exists()


def test_with_a_reason_it_is_shown_once_and_each_look_is_noted(
    talk: Conversation, staff_with: Callable[..., Client]
) -> None:
    browser = staff_with("view_conversation", "view_content")
    answer = browser.post(address(talk), {"reason": REASON}, REMOTE_ADDR="192.0.2.7")
    assert answer.content.decode().count(SECRET) >= 2
    assert "no-store" in answer["Cache-Control"]
    [entry] = AuditEntry.objects.all()
    assert entry.actor is not None
    noted: Any = (entry.actor.username, entry.action, entry.conversation_id, entry.reason, entry.address)
    assert noted == ("staff", "view_content", talk.pk, REASON, "192.0.2.7")
    assert SECRET not in browser.get(address(talk)).content.decode()
    browser.post(address(talk), {"reason": REASON})
    assert AuditEntry.objects.count() == 2


def test_the_page_of_a_conversation_shows_no_word_even_to_a_superuser(
    talk: Conversation, operator: User
) -> None:
    browser = Client()
    browser.force_login(operator)
    body = browser.get(reverse("admin:conversations_conversation_change", args=[talk.pk])).content.decode()
    assert SECRET not in body
    assert address(talk) in body


def test_entries_can_be_seen_but_neither_changed_nor_deleted(
    talk: Conversation, operator: User, staff_with: Callable[..., Client]
) -> None:
    staff_with("view_content").post(address(talk), {"reason": REASON})
    entry = AuditEntry.objects.get()
    browser = Client()
    browser.force_login(operator)
    page = reverse("admin:conversations_auditentry_change", args=[entry.pk])
    assert REASON in browser.get(page).content.decode()
    assert browser.post(page, {"reason": "forged"}).status_code == 403
    assert browser.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403
    assert AuditEntry.objects.get().reason == REASON


def test_an_entry_outlives_the_conversation_and_the_member_of_staff(
    talk: Conversation, staff_with: Callable[..., Client]
) -> None:
    staff_with("view_content").post(address(talk), {"reason": REASON})
    talk.delete()
    User.objects.filter(username="staff").delete()
    assert AuditEntry.objects.get().reason == REASON
