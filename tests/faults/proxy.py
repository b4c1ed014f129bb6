"""A TCP proxy with toxics: what a bad network does to connections. Knows nothing of what it carries.

`async with FaultProxy(port) as cable:` passes connections to `cable.port` on to `port`. `cable.toward` shapes what goes
to the target, `cable.back` what comes from it; both can be changed while connections are open.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import Self

HOST = "127.0.0.1"
CHUNK_BYTES = 16_384
MOST_WAITING = 32  # chunks between the two halves of a pump: a slow cable must push back, not store


@dataclass
class Toxics:
    """What happens to the bytes of one direction. The defaults do nothing.

    latency_ms, jitter_ms   each chunk comes that much later, plus up to the jitter; the order stays
    bytes_per_s             the bandwidth; None is no limit
    slice_bytes             passed on in pieces of this size
    limit_bytes             the connection ends after so many bytes: by FIN, or by RST (`limit_resets`)
    slow_close_ms           an end is passed on that much later
    """

    latency_ms: float = 0
    jitter_ms: float = 0
    bytes_per_s: float | None = None
    slice_bytes: int | None = None
    limit_bytes: int | None = None
    limit_resets: bool = False
    slow_close_ms: float = 0
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.flowing.set()

    def stall(self) -> None:
        """Keep every byte back and close nothing: a dead radio link, Toxiproxy's `timeout` of 0."""
        self.flowing.clear()

    def flow(self) -> None:
        """Undo `stall`."""
        self.flowing.set()


@dataclass(eq=False)
class Wire:
    """One connection through the proxy: both sockets and what went each way."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    toward_bytes: int = 0
    back_bytes: int = 0
    open: bool = True

    def reset(self) -> None:
        """Both ends see a reset."""
        for writer in (self.near, self.far):
            _reset(writer)

    def close(self) -> None:
        """Both ends see an end of stream, without a word of the protocol above."""
        for writer in (self.near, self.far):
            writer.close()


class FaultProxy:
    """The cable between two ends. `accepted` counts all connections so far, `open_count` those that are open."""

    def __init__(
        self, target_port: int, *, tls: ssl.SSLContext | None = None, buffer_bytes: int | None = None
    ) -> None:
        """`tls`: the near side speaks TLS. `buffer_bytes`: small socket buffers, so that a stall is felt soon."""
        self.target_port = target_port
        self.toward, self.back = Toxics(), Toxics()
        self.accepted = 0
        self.down = False
        self.port = 0
        self._tls = tls
        self._buffer_bytes = buffer_bytes
        self._wires: set[Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._random = random.Random(7)

    async def __aenter__(self) -> Self:
        listener = socket.create_server((HOST, 0))
        if self._buffer_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accept, sock=listener, ssl=self._tls)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.reset_peers()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_count(self) -> int:
        """Connections that are open now."""
        return len(self._wires)

    @property
    def wires(self) -> list[Wire]:
        """The open connections."""
        return list(self._wires)

    def reset_peers(self) -> None:
        """Reset every open connection, as a crashed host or a pulled plug does."""
        for wire in self.wires:
            wire.reset()

    def close_peers(self) -> None:
        """End every open connection by FIN alone."""
        for wire in self.wires:
            wire.close()

    def stall(self) -> None:
        """Nothing passes any more, either way, and nothing is closed. New connections are accepted and stall."""
        self.toward.stall()
        self.back.stall()

    def heal(self) -> None:
        """No toxics any more, for old and new connections."""
        self.down = False
        old = self.toward, self.back
        self.toward, self.back = Toxics(), Toxics()
        for toxics in old:
            toxics.flow()

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.down:
            _reset(near)
            return
        try:
            far_reader, far = await asyncio.open_connection(sock=await self._dial())
        except OSError:
            _reset(near)
            return
        wire = Wire(near, far)
        self._wires.add(wire)
        pumps = {
            asyncio.create_task(self._pump(wire, near_reader, far, toward=True), name="cable toward"),
            asyncio.create_task(self._pump(wire, far_reader, near, toward=False), name="cable back"),
        }
        self._tasks |= pumps
        try:
            # One end that is gone ends both ways, as it does for these protocols: they never close one way only.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._tasks -= pumps
            wire.close()
            wire.open = False
            self._wires.discard(wire)

    async def _dial(self) -> socket.socket:
        far = socket.socket()
        far.setblocking(False)
        if self._buffer_bytes:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)
        await asyncio.get_running_loop().sock_connect(far, (HOST, self.target_port))
        return far

    async def _pump(
        self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, toward: bool
    ) -> None:
        """One direction: a half that reads and stamps, a half that waits and writes."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_WAITING)
        reading = asyncio.create_task(self._read(reader, waiting, toward), name="cable reader")
        try:
            with contextlib.suppress(OSError):
                await self._write(wire, writer, waiting, toward)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _toxics(self, toward: bool) -> Toxics:
        return self.toward if toward else self.back

    async def _read(
        self, reader: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]], toward: bool
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                data = await reader.read(CHUNK_BYTES)
            except OSError:
                data = b""
            toxics = self._toxics(toward)
            late_ms = toxics.latency_ms + self._random.uniform(0, toxics.jitter_ms)
            if not data:
                late_ms += toxics.slow_close_ms
            await waiting.put((clock() + late_ms / 1000, data))
            if not data:
                return

    async def _write(
        self,
        wire: Wire,
        writer: asyncio.StreamWriter,
        waiting: asyncio.Queue[tuple[float, bytes]],
        toward: bool,
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due_s, data = await waiting.get()
            if (late_s := due_s - clock()) > 0:
                await asyncio.sleep(late_s)
            while not (toxics := self._toxics(toward)).flowing.is_set():
                await toxics.flowing.wait()
            if not data:
                return
            for piece in _pieces(data, toxics.slice_bytes):
                done = self._count(wire, len(piece), toward)
                if toxics.limit_bytes is not None and done >= toxics.limit_bytes:
                    writer.write(piece[: max(0, len(piece) - (done - toxics.limit_bytes))])
                    await writer.drain()
                    if toxics.limit_resets:
                        wire.reset()
                    return
                writer.write(piece)
                await writer.drain()
                if toxics.bytes_per_s:
                    await asyncio.sleep(len(piece) / toxics.bytes_per_s)
                elif toxics.slice_bytes:
                    await asyncio.sleep(0)  # a turn of the loop, so that the pieces arrive one by one

    def _count(self, wire: Wire, size: int, toward: bool) -> int:
        if toward:
            wire.toward_bytes += size
            return wire.toward_bytes
        wire.back_bytes += size
        return wire.back_bytes


def _pieces(data: bytes, size: int | None) -> list[bytes]:
    if not size:
        return [data]
    return [data[start : start + size] for start in range(0, len(data), size)]


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.transport.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
