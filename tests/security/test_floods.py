"""Sizes and floods on open sockets: who passes a limit is closed by its code, nothing of it stays, others talk on."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from realtime.browser_events import MAX_FRAME_BYTES
from tests.realtime.page import Page, eventually

SPARE_BYTES = 5 * 1024 * 1024
ANSWER_S = 10  # milliseconds are measured in `bench/`; here it is that everybody is served
# What is one too much, or half of something, and the code that says so.
ATTACKS: list[tuple[str | bytes, int]] = [
    (bytes(MAX_FRAME_BYTES + 2), 4413),
    (bytes(MAX_FRAME_BYTES + 1), 4413),
    (bytes(MAX_FRAME_BYTES - 1), 4400),
    (bytes(1), 4400),
    (bytes(60_000), 4413),
    ('{"type":"input.text","client_id":"c","text":"' + "x" * 4_097 + '"}', 4400),
    ('{"type":"ping","t":1' + " " * 60_000 + ',"x":1}', 4400),
    ("[" * 60_000, 4400),
    ('{"type":"input.text","client_id":"c","text":"' + r"\u0000" * 9_000 + '"}', 4400),
]


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_what_is_too_large_or_odd_is_refused_by_its_code_and_costs_no_memory(
    make_site: Any,
    ada: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR, logger="realtime")  # lines that are captured are memory too
    settings.REALTIME_MAX_SESSIONS_PER_USER = 100
    settings.REALTIME_RESUME_GRACE_SEC = 0
    monkeypatch.setattr("realtime.api.views.MintThrottle.THROTTLE_RATES", {"mint": "100000/min"})
    site = await make_site()

    async def attack(number: int) -> None:
        said, code = ATTACKS[number % len(ATTACKS)]
        async with await site.page(ada) as page:
            await page.until("ready")
            assert page._socket is not None
            await page._socket.send(said)
            assert await page.until_closed() == code, str(said)[:50]
        del site.upstream.connections[:-20]  # it notes all that it was sent

    for number in range(9):  # what a process takes once
        await attack(number)
    before = resident_bytes()
    for number in range(2 * len(ATTACKS)):
        await attack(number)
    await eventually(lambda: not site.switchboard.relays)
    await site.switchboard.journal.flush(5)
    assert resident_bytes() - before <= SPARE_BYTES


async def test_who_breaks_the_protocol_is_told_how(make_site: Any, ada: Any, settings: Any) -> None:
    settings.REALTIME_MAX_SESSIONS_PER_USER = 100
    site = await make_site()
    for said, detail in (
        ('{"type":"input.text","text":"hello"}', "input.text: client_id is missing"),
        (bytes(3), "an audio frame has an even number of bytes, and some"),
        (bytes(MAX_FRAME_BYTES + 2), "an audio frame has at most 9,600 bytes"),
    ):
        async with await site.page(ada) as page:
            await page.until("ready")
            assert page._socket is not None
            await page._socket.send(said)
            error = await page.until("error")
            assert (error["detail"], error["retryable"]) == (detail, False)


async def test_a_frame_and_a_message_of_the_largest_size_are_taken(make_site: Any, ada: Any) -> None:
    site = await make_site([{"says": "Fine.", "audio_ms": 100}])
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(bytes(MAX_FRAME_BYTES))
        await page.say("input.text", text="x" * 4_096, client_id="c")
        await page.until("transcript.done", role="assistant", text="Fine.")
        await page.say("session.end")
        assert await page.until_closed() == 1000


async def test_fifty_thousand_messages_of_five_pages_end_these_five_and_nobody_else(
    make_site: Any, ada: Any, bob: Any, settings: Any
) -> None:
    settings.REALTIME_MAX_SESSIONS_PER_USER = 10
    site = await make_site()
    floods, honest = [await site.page(ada) for _ in range(5)], [await site.page(bob) for _ in range(5)]
    for page in (*floods, *honest):
        await page.connect()
        await page.until("state", state="listening")
    is_over = asyncio.Event()

    async def flood(page: Page) -> int | None:
        assert page._socket is not None
        try:
            for number in range(10_000):
                await page._socket.send('{"type":"ping","t":1}' if number % 2 else '{"type":"interrupt"}')
        except ConnectionClosed:
            pass
        return await page.until_closed()

    async def talk(page: Page) -> int:
        answers = 0
        while not is_over.is_set() or not answers:
            async with asyncio.timeout(ANSWER_S):
                await page.say("ping", t=answers)
                await page.until("pong", t=answers)
            answers += 1
            await asyncio.sleep(0.02)  # 50 a second: within the limits
        return answers

    talks = [asyncio.create_task(talk(page)) for page in honest]
    assert await asyncio.gather(*map(flood, floods)) == [4429] * 5
    is_over.set()
    assert min(await asyncio.gather(*talks)) >= 1
    for page in honest:
        await page.say("session.end")
        assert await page.until_closed() == 1000
