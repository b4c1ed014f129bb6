"""axe finds nothing to complain about, on any page and in any state of the panel, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from conversations import services
from tests.browser.conftest import Person

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def assert_accessible(page: Page, where: str) -> None:
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(where, rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []


@SCHEMES
def test_pages(person: Callable[..., Person], scheme: str) -> None:
    ada = person(color_scheme=scheme)
    services.create_conversation(owner=ada.user, title="A talk")
    for path in [
        "/chat/",
        "/history/",
        "/history/?q=nothing",
        "/usage/",
        "/account/",
        "/voice-test/",
        "/accounts/password_change/",
    ]:
        ada.chat.open(path)
        assert_accessible(ada.page, path)
    bob = person("bob", logged_in=False, color_scheme=scheme)
    for path in ["/accounts/login/", "/accounts/signup/", "/accounts/password_reset/"]:
        bob.chat.open(path)
        assert_accessible(bob.page, path)


@SCHEMES
def test_states_of_the_panel(person: Callable[..., Person], scheme: str) -> None:
    ada = person(color_scheme=scheme)
    ada.chat.open().start_voice()
    ada.chat.await_row("assistant", r"\w")
    ada.page.locator("[data-act=settings]").click()
    assert_accessible(ada.page, "settings")
    ada.page.locator("[data-act=settings]").click()
    ada.chat.say_in_writing("What can you do?")  # a long answer: it lasts while axe looks
    ada.chat.await_row("assistant", "time")
    ada.chat.await_state("speaking", within_ms=60_000)
    assert_accessible(ada.page, "speaking")
    ada.page.locator("[data-act=interrupt]").click()
    expect(ada.page.locator("#messages [data-status=interrupted]").first).to_be_visible()
    assert_accessible(ada.page, "interrupted")
    ada.page.locator("[data-act=mute]").click()
    assert_accessible(ada.page, "muted")
    ada.page.locator("[data-act=talk-mode]").click()
    assert_accessible(ada.page, "push to talk")
    ada.chat.end_call()
    assert_accessible(ada.page, "ended")


@SCHEMES
def test_a_problem_on_a_phone_and_the_list_of_conversations(
    person: Callable[..., Person], scheme: str
) -> None:
    ada = person(color_scheme=scheme, microphone=False, viewport={"width": 390, "height": 780})
    services.create_conversation(owner=ada.user, title="A talk")
    ada.chat.open().start_voice()
    ada.chat.await_state("error")
    assert_accessible(ada.page, "problem")
    ada.page.locator("#open-sidebar").click()
    expect(ada.page.locator("#close-sidebar")).to_be_focused()
    ada.page.locator(".conversation .more").click()
    assert_accessible(ada.page, "menu")


def test_the_list_can_be_worked_with_the_keyboard_alone(person: Callable[..., Person]) -> None:
    ada = person()
    talk = services.create_conversation(owner=ada.user, title="A talk")
    ada.chat.open()
    ada.page.locator(".conversation .more").focus()
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_role("menuitem", name="Rename")).to_be_focused()
    ada.page.keyboard.press("Enter")
    ada.page.keyboard.type("Another name")
    with ada.page.expect_response(f"**/api/conversations/{talk.pk}/"):
        ada.page.keyboard.press("Enter")
    expect(ada.page.locator(".conversation a")).to_have_text("Another name")
    expect(ada.page.locator(".conversation a")).to_be_focused()
