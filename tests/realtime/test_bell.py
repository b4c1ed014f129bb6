"""A bell for one who waits."""

from __future__ import annotations

import asyncio

import pytest

from realtime.bell import Bell


async def test_who_waits_goes_on_when_it_rings_even_if_it_is_stilled_at_once() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    bell.set()
    bell.clear()
    await waiting
    assert not bell.is_set()


async def test_while_it_rings_nobody_waits() -> None:
    bell = Bell()
    bell.set()
    bell.set()
    await bell.wait()
    await bell.wait()
    assert bell.is_set()


async def test_who_gave_up_is_not_woken_and_another_one_may_wait() -> None:
    bell = Bell()
    gave_up = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    gave_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gave_up
    waiting = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    bell.set()
    await waiting


async def test_a_second_one_may_not_wait_beside_the_first() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    with pytest.raises(AssertionError):
        await bell.wait()
    bell.set()
    await waiting
