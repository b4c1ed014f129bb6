"""Static files as answers: bytes, parts, and what becomes of one whose browser has gone."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.test import Client
from whitenoise.responders import StaticFile

ICON = Path(__file__).parents[1] / "static" / "icon.svg"
URL = "/static/icon.svg"


def test_a_file_is_answered_whole_and_in_parts_and_not_twice() -> None:
    browser = Client()
    whole = browser.get(URL)
    assert (whole.status_code, whole.content) == (200, ICON.read_bytes())
    assert whole["Content-Type"] == "image/svg+xml"
    assert whole["Content-Length"] == str(ICON.stat().st_size)
    part = browser.get(URL, headers={"Range": "bytes=1-4"})
    assert (part.status_code, part.content) == (206, ICON.read_bytes()[1:5])
    head = browser.head(URL)
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Length"] == whole["Content-Length"]
    again = browser.get(URL, headers={"If-Modified-Since": whole["Last-Modified"]})
    assert (again.status_code, again.content) == (304, b"")
    assert browser.post(URL).status_code == 405


async def test_a_file_is_closed_when_its_browser_goes_before_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, gone, given_up = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    opened: list[str] = []
    turns: list[asyncio.Task[None]] = []

    def slowly(self: StaticFile, method: str, headers: dict[str, str]) -> Any:
        """The browser goes when the file is open, and the answer comes when Django has given the request up."""
        answer = answered(self, method, headers)
        opened.append(answer.file.name)
        loop.call_soon_threadsafe(gone.set)
        assert given_up.wait(10)
        return answer

    answered = StaticFile.get_response
    monkeypatch.setattr(StaticFile, "get_response", slowly)
    messages = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await gone.wait()
        turns.append(asyncio.create_task(a_few_turns_of_the_loop()))
        return {"type": "http.disconnect"}

    async def a_few_turns_of_the_loop() -> None:
        for _ in range(50):  # too few, and `send` would be called
            await asyncio.sleep(0)
        given_up.set()

    async def send(message: dict[str, Any]) -> None:
        pytest.fail("nobody is there to take an answer")

    scope = {"type": "http", "method": "GET", "path": URL, "headers": [(b"host", b"testserver")]}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        await get_asgi_application()(scope, receive, send)
        gc.collect()
    assert opened == [str(ICON)]
    assert [str(warning.message) for warning in told] == []
