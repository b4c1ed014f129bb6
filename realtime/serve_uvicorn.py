"""uvicorn as the site's web server: its options, and sockets that end even when their peer does not read. No signals.

uvicorn waits for slow readers and pauses fast writers by itself. What it lacks: `transport.close()` first sends what is
buffered, so a peer that does not read keeps its socket for ever, and the application is never told.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

from realtime.bell import Bell
from realtime.frames import BINARY, OTHER, TEXT, Cutter, framed
from realtime.turn_end import Gathered
from realtime.web_server import (
    ABORT_AFTER_S,
    DIRECT,
    FINALLY_S,
    MAX_MESSAGE_BYTES,
    PING_EVERY_S,
    PONG_WITHIN_S,
    REQUEST_WITHIN_S,
    Application,
    Inbox,
    Receive,
    Send,
)

BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
LINGER_NOT = struct.pack("ii", 1, 0)


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket that is aborted when it is not gone some seconds after it was closed. Offers `web_server.Direct`."""

    deliver: Callable[[str | bytes], None] | None = None
    cutter: Cutter | None = None  # since the handshake
    gathered: Gathered | None = None  # what is sent at the end of this turn of the loop

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.queue: Inbox = Inbox()  # type: ignore[assignment]
        self.writable: Bell = Bell()  # type: ignore[assignment]
        self.writable.set()

    def begin(self, deliver: Callable[[str | bytes], None], left: Callable[[], None]) -> bool:
        """See `Direct`."""
        if self.queue.empty():
            self.deliver = deliver
            self.queue.left = left
        return self.deliver is not None

    def write(self, payload: str | bytes) -> bool:
        """See `Direct`."""
        if not self.writable.is_set() or self.conn.state is not State.OPEN or self.disconnected:
            return False
        if self.gathered is None:
            self.gathered = Gathered(self._put)
        self.gathered.add(framed(payload))
        return True

    def _put(self, frames: list[bytes]) -> None:
        """Into the transport, unless the connection has ended meanwhile."""
        if self.conn.state is State.OPEN and not self.disconnected and not self.transport.is_closing():
            self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def data_received(self, data: bytes) -> None:
        """Bytes from the page: the request, then frames."""
        if self.cutter is None:
            super().data_received(data)
            if not self.handshake_initiated and self.conn.handshake_exc is not None:
                self._refuse()
            if self.handshake_initiated and data.endswith(b"\r\n\r\n"):  # no page has sent a frame already
                self.cutter = Cutter(MAX_MESSAGE_BYTES)
            return
        for kind, frame in self.cutter.cut(data):
            if kind == OTHER:
                super().data_received(frame)
            elif self.conn.state is State.OPEN:  # after a close frame nothing is heard any more
                self._hear(kind, frame)

    def handle_connect(self, event: Request) -> None:
        """The request has come."""
        super().handle_connect(event)
        event.headers.clear()  # the application has them; the library's parser would keep its own for good

    def _refuse(self) -> None:
        """The library could not read the request, and would leave its peer waiting for ever, and the socket open."""
        self.transport.write(BAD_REQUEST)
        self.transport.close()
        self._abort_later()

    def _hear(self, kind: int, data: bytes) -> None:
        """A whole message."""
        if self.deliver is None:
            self.curr_msg_data_type = "text" if kind == TEXT else "bytes"
            self.frames = [data]
            self.send_receive_event_to_app()
        elif kind == BINARY:
            self.deliver(data)
        else:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
            self.deliver(text)

    def send_receive_event_to_app(self) -> None:
        """A message in one or several frames, as the library read it."""
        if self.deliver is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        self._hear(TEXT if self.curr_msg_data_type == "text" else BINARY, data)

    async def run_asgi(self) -> None:
        """Run the application; after it nothing more will be said."""
        self.scope["extensions"][DIRECT] = self  # type: ignore[assignment]  # ASGI's own extensions are dicts
        try:
            await super().run_asgi()
        finally:
            self._abort_later()

    def keepalive_timeout(self) -> None:
        """No pong came in time."""
        super().keepalive_timeout()
        self._abort_later()

    def _abort_later(self) -> None:
        self.loop.call_later(ABORT_AFTER_S, _reset, self.transport)


class Requests(H11Protocol):
    """An HTTP connection that is ended when a request has not wholly come in its time, however busily it drips."""

    _waiting: asyncio.TimerHandle | None = None
    _before: Any = None  # the request that was there when the waiting began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request has its time from here on."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """The first byte of a request, or more of it."""
        if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        super().data_received(data)
        has_come = self.cycle is not self._before and not self.cycle.more_body
        if has_come or self.transport.get_protocol() is not self:  # it has become a WebSocket
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._before = self.cycle
        self._waiting = self.loop.call_later(REQUEST_WITHIN_S, _reset, self.transport)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _reset(transport: asyncio.Transport | None) -> None:
    """Drop a connection with all that is buffered, in the kernel too; one that is gone already stays gone.

    An abort alone leaves the kernel with what the peer does not take, for minutes.
    """
    if transport is None or (raw := transport.get_extra_info("socket")) is None or raw.fileno() < 0:
        return
    with contextlib.suppress(OSError, ValueError):  # uvloop says ValueError of a socket that is gone
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    transport.abort()


def _ending_quietly(application: Application) -> Application:
    """The application, for which being cancelled at the process's end is not a failure with a traceback in the log."""

    async def run(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await application(scope, receive, send)

    return run


class UvicornServer:
    """See `WebServer`."""

    name = "uvicorn"

    def __init__(self, application: Application) -> None:
        self._config = uvicorn.Config(
            _ending_quietly(application),
            http=Requests,
            ws=Socket,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # audio does not shrink, and a few KiB could unpack to MiB
            ws_ping_interval=PING_EVERY_S,
            ws_ping_timeout=PONG_WITHIN_S,
            lifespan="off",
            access_log=False,  # it would hold query strings
            log_config=None,
            log_level="warning",
            proxy_headers=False,  # whether a proxy is trusted is a setting of the site, for both web servers
            server_header=False,
        )
        self._server = uvicorn.Server(self._config)
        self._ticking: asyncio.Task[None] | None = None

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """On uvloop when it is installed."""
        with asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
            runner.run(main())

    async def start(self, listening: socket.socket) -> None:
        """Serve the socket."""
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[listening])
        self._ticking = asyncio.create_task(self._server.main_loop(), name="uvicorn ticks")  # keeps the date

    def stop_accepting(self) -> None:
        """Close the listening socket."""
        if self._server.started:
            for listener in self._server.servers:
                listener.close()

    async def close(self, timeout_s: float) -> None:
        """End the connections."""
        if self._ticking is None:
            return
        self._server.should_exit = True
        await self._ticking
        state = self._server.server_state
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=timeout_s)
        for connection in list(state.connections):
            connection.shutdown()  # a close frame, or the end of an idle HTTP connection
        await asyncio.sleep(0)
        for connection in list(state.connections):
            _reset(connection.transport)
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=FINALLY_S)
