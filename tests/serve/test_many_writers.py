"""Many sessions of three processes write one SQLite file: F28. Nobody is told of a lock, and everything is stored."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.page import Page
from tests.serve.site_process import Rows, SiteProcess

PROCESSES = 3
SAID = 4
ANSWER = [{"hears": "Well?", "says": "Well.", "audio_ms": 40}]


async def begin(site: SiteProcess, bearer: str) -> Page:
    page = Page(await asyncio.to_thread(site.mint, bearer, modality="text"))
    await page.connect()
    await page.until("state", state="listening")
    return page


async def write(page: Page, number: int) -> set[str]:
    """Say something and wait until question and answer are stored, again and again; returns their ids."""
    for turn in range(SAID):
        await page.say("input.text", text=f"Page {number} says {turn}", client_id=f"{number}-{turn}")
        own = await page.until("transcript.done", role="user", text=f"Page {number} says {turn}")
        answer = await page.until(
            "transcript.done", role="assistant", after=own["item_id"], status="completed"
        )
        wanted = {own["item_id"], answer["item_id"]}
        while not wanted <= {
            said["item_id"] for said in page.of("message.saved") if said["status"] == "completed"
        }:
            await page.next()
    return {said["message_id"] for said in page.of("message.saved")}


async def many_write(folder: Path, server: str, make_upstream: Any, *, pages: int) -> None:
    upstream = await make_upstream(ANSWER, record=False, max_sessions=pages * PROCESSES + 1)
    rows = Rows(folder)
    limits = {
        "REALTIME_MAX_TEXT_SESSIONS_PER_USER": 1_000,
        "REALTIME_LEASE_SEC": 60,
    }
    async with contextlib.AsyncExitStack() as stack:
        sites = [SiteProcess(folder, server, upstream.url, **limits) for _ in range(PROCESSES)]
        for site in sites:
            await asyncio.to_thread(site.__enter__)
            stack.push_async_callback(asyncio.to_thread, site.__exit__)
        bearer = await asyncio.to_thread(sites[0].log_in)
        opened = await asyncio.gather(*(begin(site, bearer) for site in sites for _ in range(pages)))
        told = await asyncio.gather(*(write(page, number) for number, page in enumerate(opened)))
        assert rows.active() == pages * PROCESSES
        for page in opened:
            await page.say("session.end")
        assert {await page.until_closed() for page in opened} == {1000}
        assert not [error for page in opened for error in page.of("error")]
        for site in sites:
            took = await asyncio.to_thread(site.ended_after, site.signal())
            assert took < 20
            assert "refused" not in site.output, site.output
            assert "Traceback" not in site.output, site.output
    ids = set().union(*told)
    assert len(ids) == pages * PROCESSES * SAID * 2
    assert ids <= rows.message_ids()
    assert rows.end_reasons() == {"person_ended": pages * PROCESSES}
    assert rows.is_sound()


@pytest.mark.timeout(300)
async def test_three_processes_write_one_file_and_nobody_is_told_of_a_lock(
    folder: Path, server: str, make_upstream: Any
) -> None:
    await many_write(folder, server, make_upstream, pages=8)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_three_processes_with_sixty_writers_each(folder: Path, server: str, make_upstream: Any) -> None:
    await many_write(folder, server, make_upstream, pages=60)
