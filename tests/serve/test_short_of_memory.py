"""A process near the end of its memory (F26) turns new people away, and those that are there notice nothing."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.realtime.page import Page
from tests.serve.site_process import Rows, SiteProcess

ANSWER = [{"hears": "Well?", "says": "Well.", "audio_ms": 40}]


async def ask(page: Page, text: str) -> None:
    """Write something, and wait until it and its answer are stored."""
    await page.say("input.text", text=text, client_id=text)
    own = await page.until("transcript.done", role="user", text=text)
    answer = await page.until("transcript.done", role="assistant", after=own["item_id"], status="completed")
    wanted = {own["item_id"], answer["item_id"]}
    while not wanted <= {m["item_id"] for m in page.of("message.saved") if m["status"] == "completed"}:
        await page.next()


async def test_near_the_end_of_its_memory_a_process_begins_no_session_and_loses_nothing(
    folder: Path, server: str, make_upstream: Any
) -> None:
    upstream = await make_upstream(ANSWER)
    with SiteProcess(folder, server, upstream.url) as site:
        bearer = await asyncio.to_thread(site.log_in)
        page = Page(await asyncio.to_thread(site.mint, bearer, modality="text"))
        await page.connect()
        await ask(page, "Before")

        used = site.address_space_bytes
        limit = used + 2 * 2**30  # threads that begin meanwhile take some 100 MiB of addresses each
        resource.prlimit(site.process.pid, resource.RLIMIT_AS, (limit, limit))  # `ulimit -v`
        assert await asyncio.to_thread(site.mint, bearer)
        assert await asyncio.to_thread(site.status_of, f"/hold?bytes={limit - 2**28 - used}") == 204
        with pytest.raises(HTTPError) as refused:
            await asyncio.to_thread(site.mint, bearer)
        assert refused.value.code == 503
        assert refused.value.headers["Retry-After"] == "60"
        assert json.load(refused.value)["code"] == "busy.memory"
        await ask(page, "While there is little")

        assert await asyncio.to_thread(site.status_of, f"/hold?bytes={limit}") == 507  # there is not so much
        await ask(page, "When there was none")
        assert await asyncio.to_thread(site.mint, bearer)  # what was held is given back
        await page.say("session.end")
        assert await page.until_closed() == 1000
        assert await asyncio.to_thread(site.ended_after, site.signal()) < 20
        assert "Traceback" not in site.output, site.output
    rows = Rows(folder)
    assert {message["message_id"] for message in page.of("message.saved")} <= rows.message_ids()
    assert rows.statuses() == {"completed": 6}
    assert rows.is_sound()
