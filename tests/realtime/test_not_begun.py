"""A token was spent and no call came of it: its row ends at once and says why, and nothing is dialled."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from realtime.models import RealtimeSession
from tests.realtime.page import DEADLINE_S


async def opened(minted: dict[str, Any]) -> ClientConnection:
    """A page's socket on which nothing was said yet."""
    return await connect(minted["url"], subprotocols=["voice.v1", "t." + minted["token"]])


async def end_of(session_id: str) -> str:
    """Why the session ended, once that is stored."""
    ended = RealtimeSession.objects.filter(pk=session_id, ended_at__isnull=False)
    async with asyncio.timeout(DEADLINE_S):
        while not await ended.aexists():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    return (await ended.aget()).end_reason


@pytest.mark.parametrize(("restarts", "reason"), [(False, "not_begun"), (True, "draining")])
async def test_a_page_that_is_gone_before_it_said_hello(
    make_site: Any, ada: Any, restarts: bool, reason: str
) -> None:
    site = await make_site()
    minted = await site.mint(ada)
    socket = await opened(minted)
    site.switchboard.draining = restarts  # as when the process ends, which closes all sockets in the end
    await socket.close()
    assert await end_of(minted["session_id"]) == reason
    assert site.upstream.connections == []


async def test_a_page_that_says_something_else_first(make_site: Any, ada: Any) -> None:
    site = await make_site()
    minted = await site.mint(ada)
    socket = await opened(minted)
    await socket.send(json.dumps({"type": "input.text", "text": "Well?", "client_id": "c"}))
    await socket.wait_closed()
    assert socket.close_code == 4400
    assert await end_of(minted["session_id"]) == "not_begun"
    assert site.upstream.connections == []


async def test_a_page_that_comes_while_the_process_is_ending_is_sent_elsewhere(
    make_site: Any, ada: Any
) -> None:
    site = await make_site()
    site.switchboard.draining = True
    page = await site.page(ada)
    await page.connect()
    assert (await page.until("error"))["code"] == "draining"
    assert await page.until_closed() == 4503
    assert await end_of(page.minted["session_id"]) == "draining"
    assert site.upstream.connections == []
