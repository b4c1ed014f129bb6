"""The site under uvicorn, in a thread of the test's own process: one database, one set of settings, two loops."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import uvicorn

from realtime.switchboard import _switchboards, get_switchboard

HOST = "127.0.0.1"
START_SEC = 30.0
TAP_WORKLET = Path(__file__).with_name("tap_worklet.js")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def with_tap(site: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The site, and at one more address the tap's worklet: the page's policy takes scripts from its own origin only."""

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/__tap_worklet.js":
            await site(scope, receive, send)
            return
        headers = [(b"content-type", b"text/javascript")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": TAP_WORKLET.read_bytes()})

    return application


class _Uvicorn(uvicorn.Server):
    """Tells when it listens, so that nobody has to ask again and again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.listening.set()


class SiteThread:
    """`with SiteThread() as site:` serves the whole ASGI application on a free port until the block is left."""

    def __init__(self) -> None:
        from voiceproject.asgi import application

        self._socket = socket.socket()
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            with_tap(application),
            log_config=None,
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=3,
        )
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(target=self._serve, name="site", daemon=True)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def began_at_ms(self, session_id: UUID) -> float:
        """When the relay of a live session began, in ms since 1970: the zero of that session's times."""
        relay = _switchboards[self._server.loop].relays[session_id]
        return (time.time() - time.monotonic() + relay._started_s) * 1000

    def forget_refusals(self) -> None:
        """Close the breaker: an upstream that refused one test says nothing about the next test's."""

        async def forget() -> None:
            get_switchboard().breaker.succeeded()

        asyncio.run_coroutine_threadsafe(forget(), self._server.loop).result(10)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> SiteThread:
        self._thread.start()
        assert self._server.listening.wait(START_SEC), "the site did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive(), "the site did not stop"
