"""Redis as it may be: silent for long, and hanging. (Away and started anew: `test_workers.py`, `test_load.py`.)"""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest
from channels_redis.core import RedisChannelLayer

from tests.services.crowd import Visitor
from tests.services.site import Site, manage

# The client's own limit is 5 s, and so is the longest question of the channel layer to Redis.
SILENCE_S = 7.0
WITHIN_S = 60.0


async def test_a_channel_that_is_silent_for_longer_than_the_clients_own_limit_still_hears(site: Site) -> None:
    ask = (
        "from django.conf import settings; import json; print(json.dumps(settings.CHANNEL_LAYERS['default']))"
    )
    told = await asyncio.to_thread(manage, site.environment, "-c", f"import django; django.setup(); {ask}")
    layer = RedisChannelLayer(**json.loads(told)["CONFIG"])
    channel = await layer.new_channel()
    try:
        hearing = asyncio.create_task(layer.receive(channel))
        done, _ = await asyncio.wait({hearing}, timeout=SILENCE_S)  # the silence itself
        assert not done, hearing.exception()
        await layer.send(channel, {"type": "word"})
        async with asyncio.timeout(WITHIN_S):
            assert (await hearing)["type"] == "word"
    finally:
        await layer.close_pools()


@pytest.mark.timeout(240)
async def test_a_redis_that_hangs_ends_no_call_and_refuses_none(site: Site) -> None:
    talking = Visitor(site, 24, random.Random(24), pause_s=3)  # a page gets 30 answers a minute, not more
    tasks = [asyncio.create_task(talking.visit()), asyncio.create_task(talking.talk())]
    try:
        await until(lambda: talking.turns >= 1)
        with site.redis.hanging():
            turns = talking.turns
            began = time.monotonic()
            status, answer = await asyncio.to_thread(
                site.api, "POST", "/api/voice/realtime-session", site.bearers[25], {}
            )
            assert status == 200, answer
            # Each question to the cache is given up after 2 s, and the proxy waits for 30.
            assert time.monotonic() - began < 20
            await until(lambda: talking.turns > turns)
            assert talking.connections == 1
            status, _ = await asyncio.to_thread(site.api, "GET", "/api/conversations/", talking.bearer)
            assert status == 200
        turns = talking.turns
        await until(lambda: talking.turns > turns)
        assert talking.connections == 1
    finally:
        await talking.leave()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(done: Any) -> None:
    """Wait until this is so."""
    async with asyncio.timeout(WITHIN_S):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
