"""All pages of a worker are cut at one moment: F38. They are all back in their talks, also when none of them waits."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.faults.conftest import SCRIPT, StageMaker
from tests.faults.stage import QUESTION, ask
from tests.realtime.page import Page

HERD = 12


async def test_all_pages_cut_at_once_are_back_in_their_talks(
    stage: StageMaker, ada: Any, settings: Any
) -> None:
    settings.REALTIME_MAX_SESSIONS_PER_USER = HERD
    async with stage() as s:
        pages = [await s.talking(ada) for _ in range(HERD)]
        for page in pages:
            await page.speak(QUESTION)
            await page.until("audio.begin")

        async def come_back(page: Page) -> dict[str, Any]:
            await page.until_closed()
            return await s.resume(ada, page)

        s.wifi.reset_peers()
        backs = await asyncio.gather(*(come_back(page) for page in pages))
        assert all(ready["resumed"] for ready in backs)
        for page in pages:
            ended = page.of("audio.end") or [await page.until("audio.end")]
            assert len(page.audio[ended[0]["item_id"]]) == SCRIPT[0]["audio_ms"] * 48
            assert (await ask(page))[0]["status"] == "completed"
        assert len(s.upstream.connections) == HERD
