"""The web servers that the suite can put before the relay, each as a context manager that gives its port. No faults.

A test never names one: the `server` fixture goes through this table. A test whose cases differ in something that the
web server never sees may share them among the servers, by `taking_turns`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from realtime.serve import listen
from realtime.web_server import WebServer

CLOSE_S = 2.0


@contextlib.asynccontextmanager
async def serve_uvicorn() -> AsyncIterator[int]:
    """The site's own uvicorn, on the test's loop."""
    from realtime.serve_uvicorn import UvicornServer
    from voiceproject.asgi import application

    async with _serving(UvicornServer(application)) as port:
        yield port


@contextlib.asynccontextmanager
async def serve_daphne() -> AsyncIterator[int]:
    """The site's own daphne, on the test's loop."""
    from realtime.serve_daphne import DaphneServer
    from voiceproject.asgi import application

    with reactor_on(asyncio.get_running_loop()):
        async with _serving(DaphneServer(application)) as port:
            yield port


@contextlib.asynccontextmanager
async def _serving(server: WebServer) -> AsyncIterator[int]:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    await server.start(listening)
    try:
        yield port
    finally:
        server.stop_accepting()
        await server.close(CLOSE_S)


@contextlib.contextmanager
def reactor_on(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Twisted's reactor drives this loop for a while, and leaves nothing on it.

    A process has one reactor for good, made on a loop of its own, while every test here has a new loop. The reactor
    asks its loop for timers and sockets at each use, so it can be lent to another one.
    """
    from twisted.internet import error, reactor
    from twisted.logger import STDLibLogObserver, globalLogPublisher
    from twisted.python.failure import Failure

    observer = STDLibLogObserver("twisted")  # what goes wrong inside Twisted is seen by the checker
    own = reactor._asyncioEventloop
    reactor._asyncioEventloop = loop
    globalLogPublisher.addObserver(observer)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observer)
        reactor.runUntilCurrent()  # sockets that were aborted just now are closed with the next turn
        for selectable in reactor.removeAll():
            selectable.connectionLost(Failure(error.ConnectionAborted()))
        for call in reactor.getDelayedCalls():
            call.cancel()
        if reactor._timerHandle is not None:
            reactor._timerHandle.cancel()
        reactor._timerHandle = reactor._scheduledAt = None
        reactor._asyncioEventloop = own


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[int]]] = {
    "uvicorn": serve_uvicorn,
    "daphne": serve_daphne,
}


def taking_turns(name: str, cases: list[Any]) -> pytest.MarkDecorator:
    """The cases of one argument, each on the next server of the table; all of the servers get some."""
    assert len(cases) >= len(SERVERS)
    return pytest.mark.parametrize(("server", name), list(zip(itertools.cycle(SERVERS), cases)))
