"""A TCP proxy that a test can cut, stall or close: the cable between two ends. Knows nothing of what it carries."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

HOST = "127.0.0.1"
CHUNK_BYTES = 16_384


class TcpProxy:
    """`with TcpProxy(port) as cable:` passes connections to `cable.port` on to `port`, on a thread of its own.

    `cut()` resets every open connection, as a pulled plug does. `refusing` resets new ones too. `stalled` keeps bytes
    back in both directions without closing anything, as a dead radio link does.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)
        self._started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self.port = 0

    def __enter__(self) -> TcpProxy:
        self._thread.start()
        assert self._started.wait(5), "the proxy did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self._do(self._stopped.set)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Reset every open connection; returns when it is done."""
        self._do(self._cut)

    def refuse(self, on: bool) -> None:
        """Whether new connections are reset at once."""

        def change() -> None:
            self._refusing = on

        self._do(change)

    def stall(self, on: bool) -> None:
        """Whether bytes are kept back."""
        self._do(self._flowing.clear if on else self._flowing.set)

    def _do(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(5), "the proxy does not answer"

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        # A small window, so that a stall is felt at the other end soon.
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK_BYTES)
        listener.bind((HOST, 0))
        self.port = listener.getsockname()[1]
        server = await asyncio.start_server(self._accept, sock=listener)
        self._started.set()
        await self._stopped.wait()
        server.close()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._refusing:
            near.transport.abort()
            return
        try:
            far_reader, far = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            near.transport.abort()
            return
        self._writers |= {near, far}
        pumps = {
            asyncio.create_task(self._pump(near_reader, far), name="to the far end"),
            asyncio.create_task(self._pump(far_reader, near), name="to the near end"),
        }
        self._tasks |= pumps
        await asyncio.wait(pumps)
        self._tasks -= pumps
        self._writers -= {near, far}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # cut; the other direction ends the same way
        finally:
            writer.close()
