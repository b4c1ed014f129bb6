"""The list of conversations: what is found in it, and what can be done to each and taken back."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, expect

from conversations import services
from conversations.models import Conversation
from tests.browser.conftest import Person, eventually

NOTICE_MS = 8_000


def of_the_list(ada: Person, title: str) -> Locator:
    return ada.page.locator("#conversation-list .conversation").filter(has_text=title)


def choose(ada: Person, title: str, action: str) -> None:
    of_the_list(ada, title).locator(".more").click()
    ada.page.get_by_role("menuitem", name=action, exact=True).click()


def test_a_search_finds_by_title_and_by_what_was_said(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    services.create_conversation(owner=ada.user, title="Holidays")
    garden = services.create_conversation(owner=ada.user, title="A garden")
    services.record_message(
        conversation_id=garden.pk, session_id=None, item_id="i", position=1, role="user", modality="text",
        status="completed", text="When do tulips bloom?",
    )  # fmt: skip
    ada.chat.open()
    search = ada.page.locator("#conversation-search")
    for query, found in (("holi", ["Holidays"]), ("tulips", ["A garden"]), ("nothing of it", [])):
        search.fill(query)
        expect(ada.page.locator("#conversation-list a")).to_have_text(found)
    expect(ada.page.locator("#conversation-note")).to_be_visible()
    search.fill("")
    expect(ada.page.locator("#conversation-list a")).to_have_count(2)


def test_what_was_archived_or_deleted_comes_back_where_it_was(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    for title in ("The oldest", "In between", "The newest"):
        services.create_conversation(owner=ada.user, title=title)
    ada.chat.open()
    links = ada.page.locator("#conversation-list a")
    for action in ("Archive", "Delete"):
        choose(ada, "In between", action)
        expect(links).to_have_text(["The newest", "The oldest"])
        ada.page.get_by_role("button", name="Undo").click()
        expect(links).to_have_text(["The newest", "In between", "The oldest"])
        expect(of_the_list(ada, "In between").locator("a")).to_be_focused()
    ada.page.reload()
    expect(links).to_have_count(3)


def test_nobody_writes_into_the_open_conversation_that_was_deleted(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    talk = services.create_conversation(owner=ada.user, title="A talk")
    ada.page.clock.install()
    ada.chat.open(f"/chat/{talk.pk}/")
    dock = ada.page.locator(".dock")
    choose(ada, "A talk", "Delete")
    expect(dock).to_have_js_property("inert", True)
    ada.page.get_by_role("button", name="Undo").click()
    expect(dock).to_have_js_property("inert", False)
    ada.page.locator("#composer-text").fill("Still here?")
    expect(ada.page.locator("#send-button")).to_be_enabled()

    choose(ada, "A talk", "Delete")
    eventually(lambda: not Conversation.objects.filter(deleted_at=None).exists(), "it is deleted")
    with ada.page.expect_navigation(url="**/chat/"):
        ada.page.clock.fast_forward(NOTICE_MS)
    expect(ada.page.locator("#conversation-list a")).to_have_count(0)
    expect(ada.page.locator(".dock")).to_have_js_property("inert", False)
