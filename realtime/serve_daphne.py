"""daphne as a web server for production: back-pressure both ways, sockets that end, a start and an end that are ours.

The stock server takes without bound what a page sends and what the application sends to a page that does not read, and
its orderly end is skipped when one connection has no application. No signals and no sessions in here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

from daphne.http_protocol import HTTPFactory
from daphne.server import Server  # first of all that imports Twisted: it installs the asyncio reactor
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor, tcp
from twisted.internet.interfaces import IPushProducer
from twisted.logger import STDLibLogObserver, globalLogBeginner
from twisted.protocols.basic import LineReceiver
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from realtime.bell import Bell
from realtime.frames import BINARY, OTHER, Cutter, framed
from realtime.turn_end import Gathered
from realtime.web_server import (
    ABORT_AFTER_S,
    DIRECT,
    FINALLY_S,
    MAX_BODY_BYTES,
    MAX_MESSAGE_BYTES,
    PING_EVERY_S,
    PONG_WITHIN_S,
    REQUEST_WITHIN_S,
    Application,
    Event,
    Inbox,
    Receive,
    Send,
)

MAX_UNREAD = 8  # messages that the application has not taken; the socket is not read beyond
MAX_EARLY_BYTES = 65_536  # sent before the handshake was answered
HANDSHAKE_S = 20.0  # the token's check may have to wait for a busy database
SOCKET = "realtime.socket"  # the key in the scope by which the application's calls find their socket


@implementer(IPushProducer)
class WriteGate:
    """Open while the socket's send buffer has room; Twisted closes and opens it."""

    def __init__(self) -> None:
        self._open = Bell()
        self._open.set()

    def pauseProducing(self) -> None:  # noqa: N802
        """The buffer is full."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        """The buffer is empty again."""
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone: who waits may go on, what is sent now is thrown away."""
        self._open.set()

    async def wait(self) -> None:
        """Until there is room."""
        await self._open.wait()

    def is_open(self) -> bool:
        """Whether there is room."""
        return self._open.is_set()


class Socket(WebSocketProtocol):
    """A WebSocket that is read as fast as the application takes, written as fast as the page reads, and always ends."""

    deliver: Callable[[str | bytes], None] | None = None
    cutter: Cutter | None = None  # since the handshake
    gathered: Gathered | None = None  # what is sent at the end of this turn of the loop

    def begin(self, deliver: Callable[[str | bytes], None], left: Callable[[], None]) -> bool:
        """See `Direct`."""
        if self.application_queue.empty():
            self.deliver = deliver
            self.inbox.left = left
        return self.deliver is not None

    def write(self, payload: str | bytes) -> bool:
        """See `Direct`."""
        if not self.gate.is_open() or self.state != self.STATE_OPEN:
            return False
        if self.gathered is None:
            self.gathered = Gathered(self._put)
        self.gathered.add(framed(payload))
        return True

    def _put(self, frames: list[bytes]) -> None:
        """To the socket at once when nothing waits before it: Twisted would ask first whether it is writable."""
        if self.state != self.STATE_OPEN:  # the connection has ended meanwhile
            return
        frame = frames[0] if len(frames) == 1 else b"".join(frames)
        plain = self.transport
        if isinstance(plain, tcp.Connection) and not (plain.dataBuffer or plain._tempDataBuffer):
            sent = plain.writeSomeData(frame)
            if isinstance(sent, int):  # else the connection is lost, and Twisted is to find out
                frame = frame[sent:]
        if frame:
            plain.write(frame)

    def connectionMade(self) -> None:  # noqa: N802
        """The HTTP connection has become this one: its hold on the send buffer passes over too."""
        super().connectionMade()
        self.gate = WriteGate()
        self.inbox = Inbox()
        self.early_bytes = 0
        self.transport.unregisterProducer()
        self.transport.registerProducer(self.gate, True)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Bytes from the page."""
        if self.state == self.STATE_CONNECTING:
            self.early_bytes += len(data)
            if self.early_bytes > MAX_EARLY_BYTES:
                self.transport.abortConnection()
                return
        elif self.cutter is None and not (self.data or self.current_frame or self.inside_message):
            self.cutter = Cutter(MAX_MESSAGE_BYTES)
        if self.cutter is None:
            super().dataReceived(data)
            return
        for kind, frame in self.cutter.cut(data):
            if kind == OTHER:
                super().dataReceived(frame)
            elif self.state == self.STATE_OPEN:  # after a close frame nothing is heard any more
                self.onMessage(frame, kind == BINARY)

    def applicationCreateWorked(self, application_queue: Any) -> None:  # noqa: N802
        """The application is there: it gets its events from our own queue."""
        super().applicationCreateWorked(self.inbox)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        """A message: to whom it is for, or queued for the application, which may be slower than the page."""
        try:
            message = payload if isBinary else payload.decode()
        except UnicodeDecodeError:
            self.sendCloseFrame(code=1007)
            return
        if self.deliver is not None and not self.muted:
            self.deliver(message)
            return
        super().onMessage(payload, isBinary)
        if not self.muted and self.application_queue.qsize() >= MAX_UNREAD:
            self.transport.pauseProducing()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:  # noqa: N802, N803
        """The connection is gone."""
        self.gate.stopProducing()
        if not hasattr(self, "server"):  # its request was refused by the library: the server never knew it
            return
        with contextlib.suppress(KeyError):  # aborted before the server knew it
            super().onClose(wasClean, code, reason)

    def taken(self) -> None:
        """The application took an event."""
        if self.application_queue.empty():
            self.transport.resumeProducing()

    def application_ended(self, code: int) -> None:
        """Nobody is there any more to listen or to speak: close, and abort what is not gone soon."""
        self.muted = True
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code)  # `sendClose` refuses the codes below 3000
        elif hasattr(self, "handshake_deferred"):
            self.serverReject()
        self.transport.resumeProducing()  # the answer to the close frame must be read
        reactor.callLater(ABORT_AFTER_S, self.abort)

    def abort(self) -> None:
        """Drop the connection with all that is buffered, if it is still there."""
        if self.transport is not None and self.transport.connected:
            self.transport.abortConnection()


class SocketFactory(WebSocketFactory):
    """Makes sockets of our kind."""

    protocol = Socket


class Channel(HTTPChannel):
    """An HTTP connection that is ended when a request has not wholly come in its time, however busily it drips."""

    _has_begun = False
    _taken_bytes = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """The first byte of a request, or more of it: Twisted's own would give new time for each."""
        if not self._has_begun:
            self._has_begun = True
            self._taken_bytes = 0
            self.resetTimeout()
        self._taken_bytes += len(data)
        if self._taken_bytes > MAX_BODY_BYTES + MAX_EARLY_BYTES:  # Twisted would write all of it to the disk
            self.transport.abortConnection()
            return
        LineReceiver.dataReceived(self, data)

    def allContentReceived(self) -> None:  # noqa: N802
        """The request has wholly come, and its answer takes as long as it takes."""
        self._has_begun = False
        super().allContentReceived()

    def timeoutConnection(self) -> None:  # noqa: N802
        """The time is over."""
        self.transport.abortConnection()


class Requests(HTTPFactory):
    """Makes connections of our kind."""

    protocol = Channel

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.timeOut = REQUEST_WITHIN_S


class PacedServer(Server):
    """daphne's bookkeeping of connections and applications, without its way to start and to end."""

    def __init__(self, application: Application) -> None:
        super().__init__(
            self._paced,
            endpoints=["none of daphne's own"],
            signal_handlers=False,
            ping_interval=PING_EVERY_S,
            ping_timeout=PONG_WITHIN_S,
            websocket_timeout=-1,  # how long a session may last is not for the web server to say
            websocket_connect_timeout=HANDSHAKE_S,
            websocket_handshake_timeout=HANDSHAKE_S,
            websocket_max_message_size=MAX_MESSAGE_BYTES,
            websocket_max_frame_size=MAX_MESSAGE_BYTES,
            server_name="",
        )
        self._application = application

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Start the application of a connection."""
        if isinstance(protocol, Socket):
            scope[SOCKET] = protocol
            scope.setdefault("extensions", {})[DIRECT] = protocol
        return super().create_application(protocol, scope)

    async def _paced(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The application, with a `receive` that lets the socket be read on and a `send` that waits for the page."""
        page: Socket | None = scope.pop(SOCKET, None)
        if page is None:
            await self._application(scope, receive, send)
            return

        receive = page.inbox.get  # daphne's own queue is let go

        async def take() -> Event:
            event = await receive()
            page.taken()
            return event

        async def give(event: Event) -> None:
            if event["type"] == "websocket.send":
                await page.gate.wait()
            await send(event)

        code = 1011
        try:
            await self._application(scope, take, give)
            code = 1000
        finally:
            page.application_ended(code)

    def listen(self, listening: socket.socket) -> Any:
        """Begin to serve; returns Twisted's listening port."""
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = Requests(self)
        self.ws_factory = SocketFactory(self, server="")
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=PONG_WITHIN_S,
            autoPingRestartOnAnyTraffic=False,  # a peer that sends and does not read is no living peer
            allowNullOrigin=True,  # origins are checked with the token
            openHandshakeTimeout=HANDSHAKE_S,
            closeHandshakeTimeout=ABORT_AFTER_S,
            maxMessagePayloadSize=MAX_MESSAGE_BYTES,
            maxFramePayloadSize=MAX_MESSAGE_BYTES,
            failByDrop=False,  # say what was wrong with a frame before the connection ends
            tcpNoDelay=True,
        )
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        return reactor.adoptStreamPort(listening.fileno(), listening.family, self.http_factory)

    def applications(self) -> set[asyncio.Future[Any]]:
        """Those still at work."""
        found = (details.get("application_instance") for details in self.connections.values())
        return {application for application in found if application is not None and not application.done()}


class DaphneServer:
    """See `WebServer`."""

    name = "daphne"

    def __init__(self, application: Application) -> None:
        self._server = PacedServer(application)
        self._port: Any = None

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """On Twisted's reactor, which drives an asyncio loop."""
        logging.getLogger("twisted").setLevel(logging.WARNING)  # below, it tells of every request
        globalLogBeginner.beginLoggingTo(
            [STDLibLogObserver("twisted")], redirectStandardIO=False, discardBuffer=True
        )
        failures: list[BaseException] = []

        async def until_done() -> None:
            try:
                await main()
            except BaseException as error:
                failures.append(error)
            finally:
                reactor.stop()

        tasks: list[asyncio.Task[None]] = []
        reactor.callLater(  # and not `callWhenRunning`, which comes before the loop runs
            0,
            lambda: tasks.append(asyncio.get_running_loop().create_task(until_done(), name="serve")),
        )
        reactor.run(installSignalHandlers=False)
        if failures:
            raise failures[0]

    async def start(self, listening: socket.socket) -> None:
        """Serve the socket."""
        listening.setblocking(False)  # Twisted takes that for granted, and would wait in `accept`
        with listening:  # it listens on a copy
            self._port = self._server.listen(listening)

    def stop_accepting(self) -> None:
        """Close the listening socket."""
        if self._port is not None:
            self._port.stopListening()

    async def close(self, timeout_s: float) -> None:
        """End the connections."""
        if self._port is None:
            return
        if applications := self._server.applications():
            await asyncio.wait(applications, timeout=timeout_s)
        for protocol in list(self._server.connections):
            if isinstance(protocol, Socket):
                protocol.abort()
        late = self._server.applications()
        for application in late:
            application.cancel()
        if late:
            await asyncio.wait(late, timeout=FINALLY_S)
