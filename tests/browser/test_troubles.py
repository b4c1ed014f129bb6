"""Something is missing or breaks: a clear state and a sentence with a way out, never a hang."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from conversations.models import Message
from tests.browser.conftest import Console, Person, eventually
from tests.browser.site_thread import SiteThread
from tests.browser.sound import heard_by
from tests.browser.tcp_proxy import TcpProxy
from tests.browser.upstream_process import UpstreamProcess


@pytest.fixture
def refusing_upstream() -> Iterator[UpstreamProcess]:
    """An upstream that takes no key, as the provider does with a wrong one."""
    with UpstreamProcess("--scripted", "--fault", "refuse:status=401") as upstream:
        yield upstream


@pytest.fixture
def nobody_there() -> Iterator[str]:
    """The address of an upstream that is not running. Its port is taken, so that nothing else comes to listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{taken.getsockname()[1]}/v1/realtime"


def expect_problem(somebody: Person, sentence: str, within_ms: int = 60_000) -> None:
    """The panel shows the problem in words, and a button that does something about it."""
    somebody.chat.await_state("error", within_ms)
    expect(somebody.chat.problem).to_contain_text(re.compile(sentence, re.IGNORECASE))
    expect(somebody.chat.problem.get_by_role("button").first).to_be_visible()


def test_a_refused_microphone_says_so_and_the_call_can_be_tried_again(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    ada.chat.open().start_voice()
    expect_problem(ada, "microphone access is blocked")
    assert Message.objects.count() == 0

    ada.page.context.grant_permissions(["microphone"], origin=ada.chat.origin)
    ada.chat.start_voice()
    ada.chat.await_call()


def test_a_missing_microphone_says_so(
    person: Callable[..., Person], console: Console, browser_without_microphone: Browser
) -> None:
    # With the permission there, the connection is on its way when the microphone turns out to be missing.
    console.allow("closed before the connection is established")
    ada = person(browser=browser_without_microphone)
    ada.chat.open().start_voice()
    ada.chat.await_state("error")
    expect(ada.chat.problem).to_contain_text(re.compile("no microphone", re.IGNORECASE))
    ada.page.context.close()


def test_a_wrong_key_says_that_voice_is_not_available_and_nothing_of_the_key(
    person: Callable[..., Person], upstream_is: Callable[[str], None], refusing_upstream: UpstreamProcess
) -> None:
    upstream_is(refusing_upstream.url)
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_state("error", within_ms=60_000)
    expect(ada.chat.problem).to_contain_text(re.compile("not available", re.IGNORECASE))
    assert "401" not in ada.chat.panel.inner_text()
    assert "key" not in ada.chat.problem.inner_text().lower()


def test_an_upstream_that_is_not_running_says_so(
    person: Callable[..., Person], upstream_is: Callable[[str], None], nobody_there: str
) -> None:
    upstream_is(nobody_there)
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_state("error", within_ms=60_000)
    expect(ada.chat.problem.get_by_role("button").first).to_be_visible()


def test_a_typed_message_without_an_upstream_is_kept_and_can_be_tried_again(
    person: Callable[..., Person], upstream_is: Callable[[str], None], nobody_there: str
) -> None:
    upstream_is(nobody_there)
    ada = person(microphone=False)
    ada.chat.open()
    ada.chat.say_in_writing("Is anybody there?")
    ada.chat.await_row("user", "Is anybody there")
    expect(ada.chat.rows("user").first.locator(".retry")).to_be_visible(timeout=60_000)
    eventually(lambda: Message.objects.filter(role="user").count() == 1, "the message is stored")


def test_a_connection_that_is_cut_comes_back_and_the_answer_goes_on(
    person: Callable[..., Person],
    console: Console,
    cable: TcpProxy,
    settings,  # type: ignore[no-untyped-def]
) -> None:
    settings.REALTIME_RESUME_GRACE_SEC = 30
    console.allow("WebSocket connection|Failed to load resource")  # the browser's own report of the cut
    ada = person(origin=f"http://127.0.0.1:{cable.port}")
    ada.chat.open().start_voice()
    ada.chat.await_state("speaking", within_ms=60_000)
    cable.cut()
    ada.chat.await_row("assistant", "fifty-six|56")
    ada.chat.await_state("listening", within_ms=60_000)
    assert heard_by(ada.page).audible_ms >= 500
    eventually(lambda: Message.objects.filter(role="assistant").count() == 1, "the answer is stored once")
    ada.chat.end_call()


@pytest.mark.parametrize(
    "minute", ["on the page's clock", pytest.param("of real time", marks=pytest.mark.long)]
)
def test_a_connection_that_stays_away_ends_in_a_clear_state(
    person: Callable[..., Person], console: Console, cable: TcpProxy, minute: str
) -> None:
    console.allow("WebSocket connection|ERR_CONNECTION|Failed to load resource")  # what the cut itself causes
    ada = person(origin=f"http://127.0.0.1:{cable.port}")
    if minute == "on the page's clock":
        ada.page.clock.install()
    ada.chat.open().start_voice()
    ada.chat.await_call()
    cable.refuse(True)
    cable.cut()
    ada.chat.await_state("reconnecting")
    expect(ada.page.locator("#voice-status")).to_contain_text(re.compile("reconnecting", re.IGNORECASE))
    if minute == "on the page's clock":
        for _ in range(5):
            ada.page.clock.fast_forward(10_000)
            expect(ada.chat.panel).to_have_attribute("data-state", "reconnecting")
        ada.page.clock.fast_forward(15_000)
    ada.chat.await_state("error|ended", within_ms=90_000)


def test_voice_that_is_turned_off_offers_no_button(
    site: SiteThread, person: Callable[..., Person], settings
) -> None:  # type: ignore[no-untyped-def]
    settings.REALTIME_ENABLED = False
    ada = person()
    ada.chat.open()
    expect(ada.page.locator("#composer-text")).to_be_visible()
    expect(ada.page.locator("#voice-button")).to_be_hidden()
