"""The cable itself: each toxic does what it says, or a test that passes through it would prove nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.proxy import HOST, FaultProxy
from tests.realtime.page import eventually

BYTES = bytes(range(256)) * 40


@pytest_asyncio.fixture
async def cable() -> AsyncIterator[FaultProxy]:
    """A cable to a peer that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()

    async with (
        await asyncio.start_server(echo, HOST, 0) as far,
        FaultProxy(far.sockets[0].getsockname()[1]) as proxy,
    ):
        yield proxy


async def connect(cable: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, cable.port)


@pytest.mark.parametrize("toxics", [{}, {"latency_ms": 20, "jitter_ms": 20}, {"slice_bytes": 7}])
async def test_what_is_late_or_sliced_arrives_whole_and_in_order(
    cable: FaultProxy, toxics: dict[str, float]
) -> None:
    for name, value in toxics.items():
        setattr(cable.toward, name, value)
        setattr(cable.back, name, value)
    reader, writer = await connect(cable)
    writer.write(BYTES)
    assert await reader.readexactly(len(BYTES)) == BYTES
    writer.close()


async def test_latency_and_bandwidth_take_their_time(cable: FaultProxy) -> None:
    clock = asyncio.get_running_loop().time
    reader, writer = await connect(cable)
    cable.toward.latency_ms = 100
    began_s = clock()
    writer.write(b"x")
    await reader.readexactly(1)
    assert clock() - began_s >= 0.1
    cable.heal()
    cable.back.bytes_per_s, cable.back.slice_bytes = 50_000, 1_000
    began_s = clock()
    writer.write(BYTES)
    await reader.readexactly(len(BYTES))
    assert clock() - began_s >= (len(BYTES) - 1_000) / 50_000
    writer.close()


async def test_a_stall_keeps_everything_back_until_it_is_over(cable: FaultProxy) -> None:
    reader, writer = await connect(cable)
    cable.stall()
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.read(5)
    assert cable.open_count == 1
    cable.heal()
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_a_reset_is_a_reset(cable: FaultProxy) -> None:
    reader, writer = await connect(cable)
    await eventually(lambda: cable.open_count == 1)
    cable.reset_peers()
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.close()
    await eventually(lambda: cable.open_count == 0)


@pytest.mark.parametrize("resets", [False, True])
async def test_a_limit_lets_exactly_so_much_through(cable: FaultProxy, resets: bool) -> None:
    cable.back.limit_bytes, cable.back.limit_resets = 1_000, resets
    reader, writer = await connect(cable)
    writer.write(BYTES)
    got = b""
    try:
        while data := await reader.read(4_096):
            got += data
    except ConnectionResetError:
        assert resets
    assert BYTES.startswith(got)
    assert len(got) == 1_000 or resets  # a reset may take what was on its way
    writer.close()


async def test_down_refuses_and_heal_ends_that(cable: FaultProxy) -> None:
    cable.down = True
    reader, writer = await connect(cable)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    cable.heal()
    reader, writer = await connect(cable)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    writer.close()
    assert cable.accepted == 2
