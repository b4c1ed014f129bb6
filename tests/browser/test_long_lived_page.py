"""Fifty calls in one page leave nothing behind. Only Chromium tells what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page

from tests.browser.conftest import Person

WARM_UP = 5
CALLS = 50


def kept(chromium: CDPSession, prototype: str, member: str) -> list[Any]:
    """A member of every living object of a kind."""
    made_from = chromium.send("Runtime.evaluate", {"expression": f"{prototype}.prototype"})["result"][
        "objectId"
    ]
    found = chromium.send("Runtime.queryObjects", {"prototypeObjectId": made_from})["objects"]["objectId"]
    declaration = f"function() {{ return this.map(one => one.{member}) }}"
    answer = chromium.send(
        "Runtime.callFunctionOn",
        {"objectId": found, "functionDeclaration": declaration, "returnByValue": True},
    )
    values: list[Any] = answer["result"]["value"]
    return values


def figures(chromium: CDPSession, page: Page) -> dict[str, float]:
    """What the page holds once collecting its garbage frees nothing more: of what goes, some goes only rounds later."""
    names = ("AudioHandlers", "AudioWorkletProcessors", "JSEventListeners")
    least: dict[str, float] = {}
    found: dict[str, float] = {}
    still = 0
    while still < 5:
        chromium.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in chromium.send("Performance.getMetrics")["metrics"]}
        before, least = least, {name: min(found[name], least.get(name, found[name])) for name in names}
        still = still + 1 if least == before else 0
        page.wait_for_timeout(200)  # a turn for what the page does about what has gone
    return {**least, "JSHeapUsedSize": found["JSHeapUsedSize"]}


@pytest.mark.timeout(400)  # fifty calls take a minute on an idle machine
def test_fifty_calls_leave_nothing_behind(person: Callable[..., Person]) -> None:
    ada = person()
    ada.chat.open()
    chromium = ada.page.context.new_cdp_session(ada.page)
    for domain in ("Performance", "HeapProfiler", "Runtime"):
        chromium.send(f"{domain}.enable")

    def call() -> None:
        ada.chat.start_voice()
        ada.chat.await_call()
        ada.chat.end_call()
        ada.page.wait_for_timeout(200)  # the worklet's farewell

    for _ in range(WARM_UP):
        call()
    before = figures(chromium, ada.page)
    for _ in range(CALLS):
        call()
    ada.page.wait_for_timeout(1_000)  # the last call's contexts are closed
    after = figures(chromium, ada.page)

    assert len(kept(chromium, "AudioContext", "state")) <= 2
    assert "running" not in kept(chromium, "AudioContext", "state")
    assert "live" not in kept(chromium, "MediaStreamTrack", "readyState")
    assert kept(chromium, "WebSocket", "readyState").count(1) == 0
    assert after["AudioHandlers"] <= before["AudioHandlers"] + 2
    assert after["AudioWorkletProcessors"] <= before["AudioWorkletProcessors"] + 1
    assert after["JSEventListeners"] <= before["JSEventListeners"] + 5
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 1_000_000
