"""`/voice-test`: each step of a voice session with the time that it took."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Person

STEPS = ["permission", "level", "token", "socket", "upstream", "transcript", "audio"]


def test_every_step_of_a_session_is_shown_with_its_time(person: Callable[..., Person]) -> None:
    ada = person()
    ada.chat.open("/voice-test")
    ada.page.locator("#voice-button").click()
    ada.chat.await_call()
    for step in STEPS:
        row = ada.page.locator(f"[data-step={step}]")
        expect(row).to_contain_text(re.compile(r"\d+ ?ms"), timeout=60_000)


@pytest.mark.parametrize("path", ["/voice-test", "/chat/", "/account/"])
def test_pages_of_the_person_need_a_login(person: Callable[..., Person], path: str) -> None:
    stranger = person(logged_in=False, microphone=False)
    stranger.chat.open(path)
    expect(stranger.page.get_by_role("button", name="Log in")).to_be_visible()
    assert "/accounts/login/" in stranger.page.url
