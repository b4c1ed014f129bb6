"""What sockets send in one turn of the event loop goes out together at its end, in order."""

from __future__ import annotations

import asyncio

from realtime.turn_end import MAX_GATHERED, Gathered


async def test_what_is_added_in_one_turn_is_put_once_and_in_order() -> None:
    put: list[list[bytes]] = []
    gathered = Gathered(put.append)
    gathered.add(b"a")
    gathered.add(b"b")
    assert put == []
    await asyncio.sleep(0)
    assert put == [[b"a", b"b"]]
    gathered.add(b"c")
    await asyncio.sleep(0)
    assert put == [[b"a", b"b"], [b"c"]]


async def test_it_comes_before_what_is_called_later_in_the_turn() -> None:
    order: list[object] = []
    first, second = Gathered(lambda texts: order.extend(texts)), Gathered(lambda texts: order.extend(texts))
    first.add(b"1")
    asyncio.get_running_loop().call_soon(order.append, "a task that was woken by then")
    second.add(b"2")
    first.add(b"3")
    await asyncio.sleep(0)
    assert order == [b"1", b"3", b"2", "a task that was woken by then"]


async def test_many_messages_do_not_wait_for_the_end_of_the_turn() -> None:
    put: list[list[bytes]] = []
    gathered = Gathered(put.append)
    for _ in range(MAX_GATHERED + 1):
        gathered.add(b"x")
    assert [len(messages) for messages in put] == [MAX_GATHERED]
    await asyncio.sleep(0)
    assert [len(messages) for messages in put] == [MAX_GATHERED, 1]


async def test_what_was_sent_in_between_is_not_sent_again() -> None:
    put: list[list[bytes]] = []
    gathered = Gathered(put.append)
    gathered.add(b"a")
    gathered.send()
    await asyncio.sleep(0)
    assert put == [[b"a"]]


def test_a_loop_that_ended_in_mid_turn_keeps_nothing_from_the_next_one() -> None:
    put: list[list[bytes]] = []

    async def leave_something() -> None:
        Gathered(put.append).add(b"left")
        raise KeyError

    async def say_something() -> None:
        Gathered(put.append).add(b"said")
        await asyncio.sleep(0)

    try:
        asyncio.run(leave_something())
    except KeyError:
        pass
    put.clear()
    asyncio.run(say_something())
    assert put == [[b"said"]]
