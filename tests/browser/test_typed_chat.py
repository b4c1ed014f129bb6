"""Typed chat in a real browser, without a call: the same relay in text mode."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from conversations.models import Message
from tests.browser.conftest import Person, eventually

# Notes each length that the newest assistant message had on the page.
WATCH_ANSWER = """
window.__lengths = [];
addEventListener("DOMContentLoaded", () => {
  new MutationObserver(() => {
    const rows = document.querySelectorAll("#messages > .message[data-role=assistant] .text");
    const length = rows.length ? rows[rows.length - 1].textContent.trim().length : 0;
    if (length && length !== __lengths.at(-1)) __lengths.push(length);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
});
"""


def test_a_typed_message_is_answered_word_by_word_and_kept(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    ada.page.add_init_script(WATCH_ANSWER)
    ada.chat.open()
    ada.chat.say_in_writing("What is seven times eight?")
    ada.chat.await_row("user", "seven times eight")
    ada.chat.await_row("assistant", "fifty-six|56")

    eventually(lambda: Message.objects.filter(status="completed").count() == 2, "both messages are stored")
    kept = [(message.role, message.text, message.modality) for message in Message.objects.in_order()]
    assert kept[0] == ("user", "What is seven times eight?", "text")
    assert kept[1][0] == "assistant"
    assert kept[1][2] == "text"
    lengths = ada.page.evaluate("window.__lengths")
    assert len(lengths) > 1, "the answer came in one piece"
    assert lengths == sorted(lengths)


def test_the_conversation_gets_a_title_and_a_place_in_the_list(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    ada.chat.open()
    ada.chat.say_in_writing("What is seven times eight?")
    ada.chat.await_row("assistant", "fifty-six|56")
    expect(ada.page.locator("#conversation-list .conversation").first).to_contain_text(
        "seven", ignore_case=True
    )
    assert "/chat/" in ada.page.url
    ada.page.reload()
    expect(ada.chat.rows()).to_have_count(2)


def test_markup_in_a_message_stays_text(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    ada.chat.open()
    ada.chat.say_in_writing("Repeat after me: <img src=x onerror=alert(1)> hello")
    ada.chat.await_row("user", "onerror")
    eventually(lambda: ada.chat.rows("assistant").count() == 1, "there is an answer")
    assert ada.page.locator("#messages img").count() == 0
