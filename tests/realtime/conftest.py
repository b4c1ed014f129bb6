"""A site and a scripted upstream on one event loop, for tests that go through both doors."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
import uvicorn
from asgiref.sync import sync_to_async
from openai.types.realtime.realtime_client_event_param import RealtimeClientEventParam
from pydantic import ConfigDict, TypeAdapter
from rest_framework.test import APIClient

from realtime.local.server import LocalConfig, LocalServer
from realtime.switchboard import get_switchboard
from tests.realtime.page import Page

Script = list[dict[str, Any]]
CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEventParam, config=ConfigDict(extra="forbid"))


def judge(upstream: LocalServer) -> None:
    """Every event that the relay sent in the test, by the types of the `openai` package, strictly."""
    for connection in upstream.connections:
        for event in connection.received:
            CLIENT_EVENTS.validate_python(event, strict=True)
            content = event.get("item", {}).get("content", [])
            assert all(part["type"] in ("input_text", "output_text") for part in content)


@dataclass
class Site:
    """A running site: its port, its upstream, and pages of people."""

    port: int
    upstream: LocalServer

    @property
    def switchboard(self) -> Any:
        """The live relays."""
        return get_switchboard()

    async def mint(self, user: Any, **fields: Any) -> dict[str, Any]:
        """Mint as a program with a JWT does: no Origin."""
        return await sync_to_async(self._mint)(user, fields)

    def _mint(self, user: Any, fields: dict[str, Any]) -> dict[str, Any]:
        from rest_framework_simplejwt.tokens import AccessToken

        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
        answer = client.post("/api/voice/realtime-session", fields, format="json")
        assert answer.status_code == 200, answer.json()
        body = answer.json()
        return {**body, "url": f"ws://127.0.0.1:{self.port}/ws/realtime/"}

    async def page(self, user: Any, **fields: Any) -> Page:
        """A page with a fresh token, not connected yet."""
        return Page(await self.mint(user, **fields))


@pytest_asyncio.fixture
async def make_site(transactional_db: None, settings: Any) -> AsyncIterator[Callable[..., Any]]:
    """`await make_site(script, **LocalConfig fields)`: the site with a scripted upstream of its own."""
    upstreams: list[LocalServer] = []
    async with contextlib.AsyncExitStack() as stack:

        async def make(script: Script | None = None, **config: Any) -> Site:
            upstream = await stack.enter_async_context(
                LocalServer(LocalConfig(mode="scripted", script=script or [], port=0, **config))
            )
            upstreams.append(upstream)
            settings.REALTIME_BASE_URL = upstream.url
            return await stack.enter_async_context(_serve(upstream))

        yield make
        for upstream in upstreams:
            judge(upstream)
        await get_switchboard().drain(sentence_s=0, save_s=5)


@contextlib.asynccontextmanager
async def _serve(upstream: LocalServer) -> AsyncIterator[Site]:
    from voiceproject.asgi import application

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            log_level="warning",
            lifespan="off",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 - the server offers no event to wait for
        await asyncio.sleep(0.005)
    try:
        yield Site(listening.getsockname()[1], upstream)
    finally:
        server.should_exit = True
        await serving
        listening.close()
