"""Somebody's slow query: 250 ms on Django's database thread once a second, in a process that is told to have it."""

import asyncio
import os
import time

from asgiref.sync import sync_to_async

_running = []


async def _again_and_again():
    while True:
        await sync_to_async(time.sleep)(0.25)  # thread-sensitive, as Django's own queries are
        await asyncio.sleep(0.75)


def start_slow_queries():
    """Begin, once per process, when SLOW_QUERY is set. Call it on the event loop."""
    if "SLOW_QUERY" in os.environ and not _running:
        _running.append(asyncio.get_running_loop().create_task(_again_and_again()))
