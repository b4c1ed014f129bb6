"""kill -9 while audio is being kept: the file holds it to the last whole second, and it can be played."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from realtime.recording_file import KeptAudio
from tests.realtime.page import Page, eventually, silence, tone
from tests.serve.site_process import SiteProcess


async def test_kept_audio_survives_a_kill(folder: Path, make_upstream: Any) -> None:
    upstream = await make_upstream([{"hears": "Hello.", "says": "Hello.", "audio_ms": 300}])
    with SiteProcess(folder, "uvicorn", upstream.url) as site:
        bearer = await asyncio.to_thread(site.log_in)
        talk = await asyncio.to_thread(site.post, "/api/conversations/", {"keep": "audio"}, bearer)
        page = Page(await asyncio.to_thread(site.mint, bearer, conversation_id=talk["id"]))
        async with page:
            await page.until("recording", on=True)
            await page.speak(tone(1_500) + silence(2_000))

            def written() -> int:
                return sum(path.stat().st_size for path in (folder / "recordings").rglob("*.pcm"))

            # Of the 3.5 s all but the part that is gathered for the next second.
            await eventually(lambda: written() >= 2_500 * 48)
            await asyncio.to_thread(site.kill)
    [path] = (folder / "recordings").rglob("*.pcm")
    with path.open("rb") as file:
        audio = KeptAudio.read(file)
        start = audio.lanes["said"][0].start
        kept = audio.aligned("said", start, audio.end)
    assert audio.whole_bytes == path.stat().st_size
    assert bytes(page.uplink).startswith(kept)
    assert len(kept) >= 2_500 * 48
