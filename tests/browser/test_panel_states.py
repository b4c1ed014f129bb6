"""States of the panel that pass quickly or come rarely, each held still for its picture and for axe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Route, expect

from realtime.models import Budget
from tests.browser.conftest import Console, Person
from tests.browser.pictures import Picture
from tests.browser.test_accessibility import SCHEMES, assert_accessible
from tests.browser.upstream_process import UpstreamProcess
from tests.test_usage_page import call

NEVER = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {})"  # a question that nobody answers
MISSING_AT_FIRST = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.pluggedIn = false;
  navigator.mediaDevices.getUserMedia = (wanted) =>
    window.pluggedIn ? real(wanted) : Promise.reject(new DOMException("none", "NotFoundError"));
"""
DEVICES_CHANGED = "navigator.mediaDevices.dispatchEvent(new Event('devicechange'))"


@SCHEMES
def test_checking_lasts_while_the_browser_asks(
    person: Callable[..., Person], picture: Picture, scheme: str
) -> None:
    ada = person(color_scheme=scheme)
    ada.page.add_init_script(NEVER)
    ada.chat.open().start_voice()
    ada.chat.await_state("checking")
    picture(f"checking-{scheme}")
    assert_accessible(ada.page, "checking")
    ada.page.locator("[data-act=end]").click()
    ada.chat.await_state("ended")


@SCHEMES
def test_connecting_says_that_one_can_speak_already(
    person: Callable[..., Person], picture: Picture, scheme: str
) -> None:
    ada = person(color_scheme=scheme)
    held: list[Route] = []
    ada.page.route("**/api/voice/realtime-session", lambda route: held.append(route))
    ada.chat.open().start_voice()
    ada.chat.await_state("connecting")
    expect(ada.chat.panel).to_contain_text("you can already speak")
    picture(f"connecting-{scheme}")
    assert_accessible(ada.page, "connecting")
    ada.page.locator("[data-act=end]").click()
    for route in held:
        route.continue_()


def test_somebody_silent_is_asked_and_may_stay(
    person: Callable[..., Person],
    picture: Picture,
    settings,  # type: ignore[no-untyped-def]
) -> None:
    settings.REALTIME_IDLE_SEC = 33  # the question comes 30 s before
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_call()
    ada.page.locator("[data-act=mute]").click()
    strip = ada.page.locator("[data-part=strip]")
    expect(strip).to_contain_text(re.compile(r"Ending in \d+ s"), timeout=60_000)
    picture("ending")
    assert_accessible(ada.page, "ending")
    strip.get_by_role("button", name="Stay").click()
    expect(strip).to_be_hidden()
    ada.chat.end_call()


def test_near_the_time_limit_nobody_is_promised_more(
    person: Callable[..., Person],
    settings,  # type: ignore[no-untyped-def]
) -> None:
    settings.REALTIME_MAX_SESSION_SEC = 62
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_call()
    strip = ada.page.locator("[data-part=strip]")
    expect(strip).to_contain_text("time limit", timeout=60_000)
    expect(strip.get_by_role("button")).to_be_hidden()
    ada.chat.end_call()


@SCHEMES
def test_a_spent_budget_says_when_there_is_more_and_leads_to_the_usage(
    person: Callable[..., Person], picture: Picture, console: Console, scheme: str
) -> None:
    console.allow("429")  # the browser reports each refusal
    ada = person(color_scheme=scheme)
    Budget.objects.create(scope="each", period="month", minutes=0)
    ada.chat.open().start_voice()
    ada.chat.await_state("error")
    expect(ada.chat.problem).to_contain_text("There is more on")
    picture(f"budget-spent-{scheme}")
    assert_accessible(ada.page, "budget spent")
    ada.chat.problem.get_by_role("button", name="See usage").click()
    expect(ada.page.get_by_role("heading", name="Usage")).to_be_visible()
    expect(ada.page.get_by_role("meter")).to_be_visible()
    assert_accessible(ada.page, "usage")
    picture(f"usage-{scheme}")


def test_a_problem_that_passes_counts_down_and_can_be_closed(
    person: Callable[..., Person], picture: Picture, console: Console
) -> None:
    console.allow("409")
    ada = person()
    busy = {"code": "busy.global", "message": "All lines are in use.", "retryable": True, "retry_after": 3}
    ada.page.route("**/api/voice/realtime-session", lambda route: route.fulfill(status=409, json=busy))
    ada.chat.open().start_voice()
    ada.chat.await_state("error")
    wait = ada.chat.problem.get_by_role("button", name=re.compile(r"Wait \d s"))
    expect(wait).to_be_disabled()
    picture("busy")
    expect(ada.chat.problem.get_by_role("button", name="Try again")).to_be_enabled()
    ada.chat.problem.get_by_role("button", name="Close the voice panel").click()
    expect(ada.chat.panel).to_be_hidden()


def test_a_microphone_that_is_plugged_in_starts_the_call_that_lacked_it(
    person: Callable[..., Person],
) -> None:
    ada = person()
    ada.page.add_init_script(MISSING_AT_FIRST)
    ada.chat.open().start_voice()
    ada.chat.await_state("error")
    expect(ada.chat.problem).to_contain_text("No microphone was found")
    ada.page.evaluate(DEVICES_CHANGED + "; 0")
    ada.page.evaluate("window.pluggedIn = true")
    ada.page.evaluate(DEVICES_CHANGED + "; 0")
    ada.chat.await_call()
    ada.chat.end_call()


def test_a_microphone_that_goes_away_is_told_and_the_call_goes_on(
    person: Callable[..., Person], picture: Picture
) -> None:
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_call()
    ada.page.evaluate(
        """() => {
          const another = { kind: "audioinput", deviceId: "default", label: "Another", groupId: "" };
          navigator.mediaDevices.enumerateDevices = async () => [another];
        }"""
    )
    ada.page.evaluate(DEVICES_CHANGED + "; 0")
    strip = ada.page.locator("[data-part=strip]")
    expect(strip).to_contain_text("The microphone is gone")
    picture("microphone-changed")
    ada.chat.await_row("assistant", r"\w")
    ada.chat.end_call()


@pytest.fixture
def forbidding_upstream(tmp_path: Path) -> Iterator[UpstreamProcess]:
    """An upstream that breaks off its first answer, for its content."""
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps([{"says": "I was about to", "incomplete": "content_filter", "audio_ms": 300}])
    )
    with UpstreamProcess("--script", str(script)) as upstream:
        yield upstream


def test_an_answer_against_the_rules_is_named(
    person: Callable[..., Person],
    picture: Picture,
    upstream_is: Callable[[str], None],
    forbidding_upstream: UpstreamProcess,
) -> None:
    upstream_is(forbidding_upstream.url)
    ada = person()
    ada.chat.open().start_voice()
    expect(ada.page.locator("[data-part=strip]")).to_contain_text(
        "under the rules of this site", timeout=60_000
    )
    picture("policy")
    ada.chat.end_call()


def test_the_usage_page_draws_what_was_used(person: Callable[..., Person], picture: Picture) -> None:
    ada = person()
    for days in range(0, 40, 3):
        call(ada.user, timezone.now() - timedelta(days=days, minutes=30), days % 7 + 1, "0.20")  # type: ignore[arg-type]
    ada.chat.open("/usage/")
    bars = ada.page.locator(".bars").first.locator("rect")
    expect(bars).to_have_count(30)
    picture("usage")
