"""The pictures of the documentation, made by a real conversation. `make screenshots` puts them into docs/images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Person
from tests.browser.pictures import Picture


@pytest.mark.screenshot
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_picture_of_a_call_in_a_conversation(
    person: Callable[..., Person], scheme: str, picture: Picture
) -> None:
    ada = person(viewport={"width": 1200, "height": 760}, color_scheme=scheme, device_scale_factor=2)
    ada.chat.open()
    ada.chat.say_in_writing("Hello! What can you do?")
    ada.chat.await_row("assistant", r"\w")
    ada.chat.start_voice()
    ada.chat.await_row("assistant", "fifty-six|56")
    picture(f"call-{scheme}")


@pytest.mark.screenshot
def test_picture_of_the_voice_test_page(person: Callable[..., Person], picture: Picture) -> None:
    ada = person(viewport={"width": 1000, "height": 900})
    ada.chat.open("/voice-test")
    ada.page.locator("#voice-button").click()
    ada.page.locator("[data-step=audio]").filter(has_text="ms").wait_for(timeout=60_000)
    picture("voice-test")
