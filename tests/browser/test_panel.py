"""The panel's states and controls, each with a picture. What is answered is in test_voice_chat.py."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from conversations import services
from tests.browser.conftest import Person, eventually
from tests.browser.pictures import Picture
from tests.browser.sound import heard_by

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def caller(person: Callable[..., Person]) -> Callable[..., Person]:
    """Somebody in a call."""

    def make(**options: object) -> Person:
        somebody = person(**options)
        somebody.chat.open().start_voice()
        somebody.chat.await_call()
        return somebody

    return make


def test_a_muted_person_is_not_heard_and_is_told_so_when_they_speak(
    caller: Callable[..., Person], picture: Picture
) -> None:
    ada = caller()
    ada.page.locator("[data-act=mute]").click()
    ada.chat.end_call()
    said = ada.chat.rows("user").count()
    ada.chat.start_voice()  # muted from the first sample on
    ada.chat.await_call()
    expect(ada.page.locator("#voice-status")).to_contain_text("You are muted. Press M to talk.")
    picture("muted")
    ada.page.wait_for_timeout(3_000)  # the microphone's file plays in real time
    assert ada.chat.rows("user").count() == said
    ada.page.locator("#voice-panel").focus()
    ada.page.keyboard.press("m")
    expect(ada.page.locator("[data-act=mute]")).to_have_attribute("aria-pressed", "false")
    ada.chat.end_call()


def test_push_to_talk_sends_what_was_said_while_the_button_was_held(
    person: Callable[..., Person], picture: Picture
) -> None:
    ada = person()
    services.save_preferences(owner=ada.user, turn_preset="push_to_talk")
    ada.chat.open().start_voice()
    ada.chat.await_call()
    hold = ada.page.locator(".controls [data-act=talk]")
    hold.hover()
    ada.page.mouse.down()
    expect(hold).to_have_class(re.compile("down"))
    picture("push-to-talk")
    ada.page.wait_for_timeout(3_500)  # the microphone's file plays in real time
    assert ada.chat.rows("assistant").count() == 0, "nothing is answered while the button is held"
    ada.page.mouse.up()
    ada.chat.await_row("assistant", r"\w")
    ada.chat.end_call()


def test_escape_silences_the_answer_and_the_thread_keeps_what_was_heard(
    caller: Callable[..., Person], picture: Picture
) -> None:
    ada = caller()
    ada.chat.await_state("speaking", within_ms=60_000)
    picture("speaking")
    ada.page.keyboard.press("Escape")
    ada.chat.await_state("listening|thinking", within_ms=5_000)
    expect(ada.page.locator("#messages [data-status=interrupted]")).to_be_visible(timeout=15_000)
    before = heard_by(ada.page).audible_ms
    ada.page.wait_for_timeout(700)  # long enough for sound that should not come
    assert heard_by(ada.page).audible_ms - before < 200
    picture("interrupted")
    ada.chat.end_call()


def test_a_second_escape_ends_the_call_and_the_summary_can_be_closed(
    caller: Callable[..., Person], picture: Picture
) -> None:
    ada = caller()
    ada.page.keyboard.press("Escape")
    ada.page.keyboard.press("Escape")
    ada.chat.await_state("ended")
    summary = ada.page.locator("[data-part=summary]")
    expect(summary).to_contain_text("Call ended")
    picture("ended")
    summary.get_by_role("button", name="Close the voice panel").click()
    expect(ada.chat.panel).to_be_hidden()
    expect(ada.page.locator("#composer-text")).to_be_focused()


def test_the_shortcut_starts_and_ends_a_call(person: Callable[..., Person]) -> None:
    ada = person()
    ada.chat.open()
    ada.page.keyboard.press("Control+Shift+V")
    ada.chat.await_call()
    ada.page.keyboard.press("Control+Shift+V")
    ada.chat.await_state("ended")


def test_captions_can_be_hidden_and_the_choice_is_kept(caller: Callable[..., Person]) -> None:
    ada = caller()
    caption = ada.page.locator("[data-part=caption]")
    expect(caption).to_be_visible(timeout=60_000)
    with ada.page.expect_response("**/api/preferences/"):
        ada.page.locator("[data-act=captions]").click()
    expect(caption).to_be_hidden()
    ada.chat.end_call()
    ada.page.reload()
    expect(ada.page.locator("[data-act=captions]")).to_have_attribute("aria-pressed", "false")


def test_settings_list_the_microphones(caller: Callable[..., Person], picture: Picture) -> None:
    ada = caller()
    ada.page.locator("[data-act=settings]").click()
    microphones = ada.page.locator("[data-set=microphone] option")
    eventually(lambda: microphones.count() > 1, "the microphones are listed")
    picture("settings")
    ada.chat.end_call()


def test_another_microphone_can_be_taken_in_the_middle_of_a_call(caller: Callable[..., Person]) -> None:
    ada = caller()
    ada.page.locator("[data-act=settings]").click()
    choice = ada.page.locator("[data-set=microphone]")
    eventually(lambda: choice.locator("option").count() > 1, "the microphones are listed")
    choice.select_option(index=1)
    ada.chat.await_row("assistant", r"\w")  # it plays the question anew
    ada.chat.end_call()


def test_a_reload_in_the_middle_of_an_answer_can_be_resumed(
    picture: Picture,
    caller: Callable[..., Person],
    settings,  # type: ignore[no-untyped-def]
) -> None:
    settings.REALTIME_RESUME_GRACE_SEC = 30
    ada = caller()
    ada.chat.await_state("speaking", within_ms=60_000)
    ada.page.on("dialog", lambda dialog: dialog.accept())
    ada.page.reload()
    offer = ada.page.locator("[data-part=summary]")
    expect(offer).to_contain_text("Your call is still open")
    picture("reloaded")
    offer.get_by_role("button", name="Resume").click()
    ada.chat.await_call()
    eventually(lambda: heard_by(ada.page).audible_ms > 0, "the answer goes on")
    ada.chat.end_call()


def test_the_phone_shows_everything_within_its_width(caller: Callable[..., Person], picture: Picture) -> None:
    ada = caller(**PHONE)
    ada.chat.await_row("assistant", r"\w")
    ada.page.locator("[data-act=settings]").click()
    picture("phone-settings")
    assert ada.page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in ada.page.locator(".controls button:visible").all():
        box = control.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    ada.chat.end_call()


def test_reduced_motion_keeps_the_bars_still(caller: Callable[..., Person]) -> None:
    ada = caller(reduced_motion="reduce")
    bars = ada.page.locator("[data-part=visualizer]")
    ada.chat.await_state("speaking", within_ms=60_000)
    pictures = set()
    for _ in range(5):
        pictures.add(bars.evaluate("canvas => canvas.toDataURL()"))
        ada.page.wait_for_timeout(60)
    assert len(pictures) == 1
    ada.chat.end_call()
