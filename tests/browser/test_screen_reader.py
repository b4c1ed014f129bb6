"""What somebody hears of the chat who does not see it: names, roles and states in order, and what is said by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from realtime.models import RealtimeSession
from tests.browser.conftest import Console, Person, eventually
from tests.browser.quick_upstream import QuickUpstream, turn

EARS = Path(__file__).parent / "ears.js"
WITHIN_SAID_MS = 1_500  # the page says at most one thing a second
CONTROLS = """
- group "Call controls":
  - button "Mute the microphone"
  - button "Choose the microphone"
  - button "Push to talk"
  - button "Interrupt" [disabled]
  - button "Captions" [pressed]
  - button "Volume and speaker"
  - button "Voice settings"
  - button "End the call"
"""


@pytest.fixture
def quick() -> Iterator[QuickUpstream]:
    with QuickUpstream() as upstream:
        yield upstream


@pytest.fixture
def listener(
    person: Callable[..., Person], upstream_is: Callable[[str], None], quick: QuickUpstream
) -> Person:
    """Somebody with a screen reader, on the chat page."""
    upstream_is(quick.url)
    ada = person()
    ada.page.add_init_script(path=EARS)
    ada.chat.open()
    return ada


def announced(page: Page) -> list[str]:
    """What was said by itself, after the call was begun: how long that takes decides what of it is said."""
    page.wait_for_timeout(WITHIN_SAID_MS)
    said: list[str] = page.evaluate("window.__announced")
    return [text for text in said if not text.startswith(("Checking", "Connecting"))]


def test_in_a_call_the_two_are_not_talked_over(listener: Person, quick: QuickUpstream) -> None:
    ada = listener
    ada.chat.start_voice()
    ada.chat.await_state("listening")
    assert announced(ada.page) == ["Listening"]
    status = ada.chat.panel.locator("[data-part=status]")
    for number in range(3):
        events = turn(number, 1_200)
        quick.say(events[0])
        ada.chat.await_state("hearing")
        expect(status).to_have_text("Hearing you")
        quick.say(*events[1:5])
        ada.chat.await_state("thinking|listening")
        quick.say(*events[5:])
        ada.chat.await_state("speaking")
        expect(status).to_have_text(re.compile("^Speaking"))
        expect(ada.page.locator("#voice-status")).to_have_text("")  # nothing of the past is found there
        ada.chat.await_state("listening")
    assert announced(ada.page) == ["Listening"]
    ada.chat.end_call()
    expect(ada.page.locator("#voice-status")).to_contain_text("3 answers")
    first, last = announced(ada.page)
    assert first == "Listening"
    assert re.fullmatch(r"Call ended · \d:\d\d · 3 answers", last)


def test_a_thought_that_takes_long_is_told(listener: Person, quick: QuickUpstream) -> None:
    ada = listener
    ada.chat.start_voice()
    ada.chat.await_state("listening")
    assert announced(ada.page) == ["Listening"]
    events = turn(0)
    quick.say(*events[:6])
    ada.chat.await_state("thinking")
    expect(ada.page.locator("#voice-status")).to_have_text("Thinking…")
    quick.say(*events[6:])
    ada.chat.await_state("listening")
    assert announced(ada.page) == ["Listening", "Thinking…"]
    ada.chat.end_call()


def test_the_panel_is_read_in_order_and_names_its_states(listener: Person, quick: QuickUpstream) -> None:
    ada = listener
    button = ada.page.locator("#voice-button")
    expect(button).to_match_aria_snapshot('- button "Start voice"')
    ada.chat.start_voice()
    ada.chat.await_state("listening")
    expect(button).to_match_aria_snapshot('- button "End voice"')
    assert button.get_attribute("aria-pressed") is None, "its name says the action, so it is no switch"
    panel = ada.chat.panel
    expect(panel).to_match_aria_snapshot(f"""
- region "Voice call":
  - paragraph: Listening
  - paragraph:
    - button "Connected. Details of the call"
{"".join(f"  {line}" + chr(10) for line in CONTROLS.strip().splitlines())}""")
    panel.get_by_role("button", name="Mute the microphone").click()
    expect(panel).to_match_aria_snapshot('- button "Mute the microphone" [pressed]')
    expect(panel).to_match_aria_snapshot("- paragraph: You are muted")
    panel.get_by_role("button", name="Push to talk").click()
    expect(panel).to_match_aria_snapshot('- button "Push to talk" [pressed]\n- button "Hold to talk"')
    panel.get_by_role("button", name="Voice settings").click()
    expect(panel).to_match_aria_snapshot('- button "Voice settings" [expanded]')
    quick.say(*turn(0))
    expect(ada.page.locator("#main")).to_match_aria_snapshot("""
- log "Conversation":
  - list:
    - listitem:
      - text: /You said. Question 0/
      - button "Copy the text"
    - listitem:
      - text: /The assistant said. Answer 0/
      - button "Copy the text"
""")
    ada.chat.end_call()
    expect(panel).to_match_aria_snapshot("""
- region "Voice call":
  - paragraph: /Call ended/
  - button "Go on talking"
  - button "Close the voice panel"
""")


def test_the_place_is_kept_when_what_has_it_goes(listener: Person, quick: QuickUpstream) -> None:
    ada = listener
    ada.chat.start_voice()
    ada.chat.await_state("listening")
    quick.say(*turn(0, 4_000))
    ada.chat.await_state("speaking")
    interrupt = ada.chat.panel.get_by_role("button", name="Interrupt")
    interrupt.focus()
    ada.page.keyboard.press("Enter")
    ada.chat.await_state("listening")
    expect(interrupt).to_be_disabled()
    expect(interrupt).to_be_focused()
    quick.say({"type": "error", "error": {"type": "x", "code": "insufficient_quota", "message": "m"}})
    ada.chat.await_state("error|ended")
    expect(ada.chat.panel).to_be_focused()
    eventually(lambda: RealtimeSession.objects.get().ended_at is not None, "the session is closed")


def test_a_problem_is_said_once_and_its_countdown_is_not(
    person: Callable[..., Person], console: Console
) -> None:
    console.allow("409")
    ada = person()
    ada.page.add_init_script(path=EARS)
    wait = {"code": "upstream.rate_limited", "message": "", "retryable": True, "retry_after": 3}
    ada.page.route("**/api/voice/realtime-session", lambda route: route.fulfill(status=409, json=wait))
    ada.chat.open().start_voice()
    ada.chat.await_state("error")
    expect(ada.chat.problem.get_by_role("button", name="Try again")).to_be_enabled()
    (said,) = announced(ada.page)
    assert said.startswith("The voice service is very busy")
