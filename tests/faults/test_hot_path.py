"""A frame of audio is nobody's turn but the event loop's: no thread works for it, and no task is made for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.conftest import StageMaker
from tests.realtime.page import FRAME_BYTES, eventually

FRAMES = 400  # within what a page that comes back may send at once
# What goes on anyway, renewals above all, is far less than one for each frame, on a slow machine too.
FEW = FRAMES // 4


async def test_no_thread_and_no_task_works_for_a_frame(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops: list[str] = []
    submit = ThreadPoolExecutor.submit

    def counted_submit(self: ThreadPoolExecutor, *args: Any, **kwargs: Any) -> Any:
        hops.append("thread")
        return submit(self, *args, **kwargs)

    def counted_task(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **more: Any
    ) -> Any:
        hops.append("task")
        return asyncio.Task(coroutine, loop=loop, **more)

    async with stage() as s:
        page = await s.talking(ada)
        upstream = s.upstream.connections[-1]

        def arrived() -> int:
            return sum(event["type"] == "input_audio_buffer.append" for event in upstream.received)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(ThreadPoolExecutor, "submit", counted_submit)
        loop.set_task_factory(counted_task)
        try:
            await page.speak(bytes(FRAMES * FRAME_BYTES))
            await eventually(lambda: arrived() >= FRAMES)
        finally:
            loop.set_task_factory(None)
        await page.say("session.end")
        await page.until_closed()
        assert hops.count("thread") < FEW
        assert hops.count("task") < FEW
