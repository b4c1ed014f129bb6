"""kill -9 at any moment: what a page was told is saved is there, the file is sound, no session stays active."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.realtime.page import Page, eventually, silence, tone
from tests.serve.site_process import Rows, SiteProcess

PAGES = 6
SEED = 20_261_122
KILL_WITHIN_S = 1.5
SCRIPT = [
    {"hears": "What is the time?", "says": "It is noon.", "audio_ms": 900},
    {"hears": "And now?", "heard_at": "after", "says": "It is a little later than noon.", "audio_ms": 2_400},
    {"hears": "Thank you.", "heard_at": "before", "says": "You are welcome.", "audio_ms": 300},
]


async def talk(page: Page, chance: random.Random) -> None:
    """Speak and type, and read what comes, until the site is gone."""
    with contextlib.suppress(ConnectionClosed, InvalidMessage, OSError, EOFError):
        await page.connect()
        for number in range(10_000):
            if chance.random() < 0.5:
                await page.speak(tone(200 + 100 * chance.randrange(4)) + silence(700))
            else:
                await page.say("input.text", text="What is the time?", client_id=f"typed-{number}")
            await page.until("response.done")


async def kill_in_the_middle(site: SiteProcess, chance: random.Random, *, talking: bool) -> set[str]:
    """Let pages talk, kill the site at a random moment; returns the ids of what the pages were told is saved.

    The moment counts from the first dial, or, with `talking`, from the first words that were saved: on a busy machine
    every kill would come before them.
    """
    bearer = await asyncio.to_thread(site.log_in)
    pages = [Page(await asyncio.to_thread(site.mint, bearer)) for _ in range(PAGES)]
    talks = [asyncio.create_task(talk(page, random.Random(chance.random()))) for page in pages]
    if talking:
        await eventually(lambda: any(page.of("message.saved") for page in pages))
    await asyncio.sleep(chance.uniform(0, KILL_WITHIN_S))  # the point of the test: any moment will do
    await asyncio.to_thread(site.kill)
    await asyncio.gather(*talks)
    for page in pages:
        await page.__aexit__()
    return {message["message_id"] for page in pages for message in page.of("message.saved")}


async def survive(folder: Path, server: str, make_upstream: Any, *, points: int, seed: int) -> None:
    upstream = await make_upstream(SCRIPT, record=False)
    chance = random.Random(f"{seed} {server}")
    rows, told, killed = Rows(folder), set(), 0
    for point in range(points + 1):
        site = SiteProcess(folder, server, upstream.url)
        await asyncio.to_thread(site.__enter__)
        try:
            # The start after the kill before. The reaper may need the rest of a lease.
            await eventually(lambda: rows.active() == 0)
            lost = told - rows.message_ids()
            assert not lost, f"seed {seed}, point {point}: {len(lost)} of {len(told)} messages are lost"
            assert rows.is_sound(), f"seed {seed}, point {point}"
            assert "pending" not in rows.statuses(), f"seed {seed}, point {point}"
            await eventually(lambda: upstream.open_count == 0)
            assert "Traceback" not in site.output, site.output
            if point < points:
                told |= await kill_in_the_middle(site, chance, talking=point % 2 == 1)
                killed += 1
        finally:
            await asyncio.to_thread(site.__exit__)
    assert killed == points
    assert told, "no message was ever saved: nothing is shown"
    assert set(rows.end_reasons()) == {"lost"}


@pytest.mark.timeout(300)
async def test_what_was_told_to_be_saved_survives_five_kills(
    folder: Path, server: str, make_upstream: Any
) -> None:
    await survive(folder, server, make_upstream, points=5, seed=SEED)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_what_was_told_to_be_saved_survives_a_hundred_kills(
    folder: Path, server: str, make_upstream: Any
) -> None:
    await survive(folder, server, make_upstream, points=100, seed=SEED + 1)
