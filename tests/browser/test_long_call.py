"""A call of an hour in one page: what the page holds does not grow with it. Only Chromium tells what it holds.

How an hour of sound goes through the modules of the page is in tests/js/hour.test.mjs, on a clock of its own; the relay
has tests/realtime/test_long_call.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import CDPSession, Page, expect

from conversations.models import Message
from tests.browser.conftest import Person, eventually
from tests.browser.pictures import Picture
from tests.browser.quick_upstream import QuickUpstream
from tests.browser.test_long_lived_page import figures

FULL, MORE = 240, 100  # turns: after the first, nearly all that is bounded is full
ROWS = 200
STORED = "document.querySelectorAll('#messages > li:not([data-position=\"\"])').length"
SUM_OF = "function(size) {{ return this.reduce((sum, one) => sum + one.{size}, 0) }}"
# What is counted of a kind of object: all of them, or what all of them hold.
COUNTED = {
    **dict.fromkeys(("AudioNode", "AudioContext", "MessagePort", "WebSocket"), "function() { return this.length }"),
    "Array": SUM_OF.format(size="length"),
    "Map": SUM_OF.format(size="size"),
    "Set": SUM_OF.format(size="size"),
    "ArrayBuffer": SUM_OF.format(size="byteLength"),
}  # fmt: skip


@pytest.fixture
def quick() -> Iterator[QuickUpstream]:
    with QuickUpstream() as upstream:
        yield upstream


def held(chromium: CDPSession, kind: str) -> int:
    """What is held of a kind of object now."""
    made_from = chromium.send("Runtime.evaluate", {"expression": f"{kind}.prototype"})["result"]["objectId"]
    found = chromium.send("Runtime.queryObjects", {"prototypeObjectId": made_from})["objects"]["objectId"]
    asked = {"objectId": found, "functionDeclaration": COUNTED[kind], "returnByValue": True}
    answer: int = chromium.send("Runtime.callFunctionOn", asked)["result"]["value"]
    for object_id in (found, made_from):
        chromium.send("Runtime.releaseObject", {"objectId": object_id})
    return answer


def holds(chromium: CDPSession, page: Page) -> dict[str, float]:
    """Everything that could grow."""
    found = figures(chromium, page)
    nodes = chromium.send("Memory.getDOMCounters")["nodes"]
    return {**found, "nodes": nodes, **{kind: held(chromium, kind) for kind in COUNTED}}


PACES = [
    pytest.param(60, 1, id="in seconds"),
    # A thousand turns, and eight minutes of the microphone's sound going up meanwhile.
    pytest.param(1_000, 3, id="of real time", marks=[pytest.mark.long, pytest.mark.timeout(1_500)]),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("pause_ms", "times"), PACES)
def test_an_hours_call_does_not_grow(
    person: Callable[..., Person],
    picture: Picture,
    upstream_is: Callable[[str], None],
    quick: QuickUpstream,
    settings,  # type: ignore[no-untyped-def]
    pause_ms: int,
    times: int,
) -> None:
    settings.REALTIME_MAX_SESSION_SEC = 7_200
    settings.REALTIME_RESUME_GRACE_SEC = 60  # as on a site: a page that is looked through stands still
    upstream_is(quick.url)
    ada = person(tapped=False)
    ada.chat.open().start_voice()
    ada.chat.await_state("listening")
    chromium = ada.page.context.new_cdp_session(ada.page)
    for domain in ("Performance", "HeapProfiler", "Runtime"):
        chromium.send(f"{domain}.enable")

    def talk(turns: int) -> None:
        quick.talk(turns, pause_ms)
        expect(ada.chat.rows("assistant").last).to_contain_text(f"Answer {quick.turns - 1}.", timeout=60_000)
        ada.chat.await_state("listening")
        eventually(lambda: ada.page.evaluate(STORED) == ROWS, "every row is as it is stored", 60)

    talk(FULL)
    before, frames = holds(chromium, ada.page), quick.frames
    talk(MORE * times)
    after = holds(chromium, ada.page)

    assert quick.frames > frames, "the microphone is heard all the time"
    assert Message.objects.count() == 2 * (FULL + MORE * times)
    assert len(ada.chat.rows().all()) == ROWS
    grown = {name: after[name] - before[name] for name in before}
    one_each_turn = 0.9 * MORE * times  # not every turn is heard to its end and noted
    assert grown["nodes"] < one_each_turn, grown
    assert grown["JSEventListeners"] <= 2, grown
    for name in ("AudioHandlers", "AudioWorkletProcessors", "AudioNode", "AudioContext", "WebSocket"):
        assert grown[name] <= 0, grown
    for name in ("Array", "Map", "Set", "MessagePort"):
        assert grown[name] < one_each_turn, grown
    assert grown["ArrayBuffer"] < 100_000, grown
    assert grown["JSHeapUsedSize"] < 150_000, grown

    # What went from the page is had again; and who reads it there is left alone.
    first = 2 * (FULL + MORE * times) - ROWS
    ada.page.get_by_role("button", name="Show earlier messages").click()
    expect(ada.chat.rows()).to_have_count(ROWS + 50)
    assert re.search(rf"Question {(first - 50) // 2}:", ada.chat.rows().first.inner_text())
    ada.page.locator("#main").evaluate("main => { main.scrollTop = 0 }")
    quick.talk(1, pause_ms)
    expect(ada.chat.rows()).to_have_count(ROWS + 52)
    picture("earlier-messages-in-a-call")
    ada.page.get_by_role("button", name="Go to the newest message").click()
    quick.talk(1, pause_ms)
    expect(ada.chat.rows()).to_have_count(ROWS)
    ada.chat.end_call()
