"""The web servers that the suite can put before the relay, each as a context manager that gives its port. No faults.

A test never names one: the `server` fixture goes through this table. The site's daphne is not in it: Twisted's reactor
keeps the event loop on which it was made, while every test here has a loop of its own.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager


@contextlib.asynccontextmanager
async def serve_uvicorn() -> AsyncIterator[int]:
    """The site's own uvicorn, on the test's loop."""
    from realtime.serve_uvicorn import UvicornServer
    from voiceproject.asgi import application

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = UvicornServer(application)
    await server.start(listening)
    try:
        yield port
    finally:
        server.stop_accepting()
        await server.close(2)


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[int]]] = {"uvicorn": serve_uvicorn}
