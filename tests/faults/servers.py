"""The servers that the suite can put before the relay, each as a context manager that gives its port. No faults.

A test never names one: the `server` fixture goes through this table.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import uvicorn

from tests.realtime.page import eventually


@contextlib.asynccontextmanager
async def serve_uvicorn() -> AsyncIterator[int]:
    """uvicorn on this loop, with the options of production that matter for a socket."""
    from voiceproject.asgi import application

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            log_level="warning",
            log_config=None,
            lifespan="off",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=65_536,
            timeout_graceful_shutdown=2,
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="uvicorn")
    await eventually(lambda: server.started)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listening.close()


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[int]]] = {"uvicorn": serve_uvicorn}
