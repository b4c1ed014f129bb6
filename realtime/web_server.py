"""What the entry point asks of a web server, and the limits that hold on each. The servers are in `serve_*.py`."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Protocol

from realtime.bell import Bell

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_MESSAGE_BYTES = 65_536  # of one WebSocket message; the browser protocol's own limits are lower
# A pong is due before the next ping, so that one unanswered ping ends the connection.
PING_EVERY_S, PONG_WITHIN_S = 20.0, 15.0
# Of one HTTP request. Above Django's own bound, past which a view answers in its own shape.
MAX_BODY_BYTES = 10 * 1024 * 1024
# A request, head and body, from its first byte on; as long may a connection wait with its first byte.
REQUEST_WITHIN_S = 20.0
ABORT_AFTER_S = 5.0  # for a peer to take what is buffered and to answer the close frame
FINALLY_S = 0.5  # for applications to leave their `finally` blocks once their connections are gone


DIRECT = "voiceproject.direct"  # among the extensions of a scope: the socket's `Direct`, where the web server is ours


class Direct(Protocol):
    """A WebSocket past ASGI's queues: a task's turn for each frame of audio would cost more than all else about it."""

    def begin(self, deliver: Callable[[str | bytes], None], left: Callable[[], None]) -> bool:
        """Call `deliver` for each message from now on, and `left` after the last one; neither raises.

        False when some still wait in the queue.
        """

    def write(self, payload: str | bytes) -> bool:
        """Send a message now. False when the page takes no more at the moment, or is gone."""


class Inbox:
    """Events that wait for an application: what the web servers use of `asyncio.Queue`, in a tenth of its memory."""

    __slots__ = ("_bell", "_events", "left")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._bell = Bell()
        self.left: Callable[[], None] | None = None  # who is told that the page is gone, see `Direct`

    def qsize(self) -> int:
        """How many wait."""
        return len(self._events)

    def empty(self) -> bool:
        """Whether none waits."""
        return not self._events

    def put_nowait(self, event: Event) -> None:
        """One more."""
        self._events.append(event)
        self._bell.set()
        if self.left is not None and event["type"] == "websocket.disconnect":
            self.left()

    async def get(self) -> Event:
        """The next one."""
        while not self._events:
            self._bell.clear()
            await self._bell.wait()
        return self._events.pop(0)


class WebServer(Protocol):
    """A web server that runs inside this process. `run` comes first and alone is called outside the event loop."""

    name: str

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `main` on an event loop that suits the web server; raises what it raises."""

    async def start(self, listening: socket.socket) -> None:
        """Begin to serve a listening socket, which belongs to the web server from now on."""

    def stop_accepting(self) -> None:
        """Refuse new connections; those that are open go on."""

    async def close(self, timeout_s: float) -> None:
        """Let applications end within the time, then end all connections, by force if need be."""
