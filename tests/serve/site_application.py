"""The product's application with doors for tests: a loop that hangs, and sockets whose applications have no manners."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from voiceproject.asgi import application as site

HANG_S = 60.0
FLOOD_BYTES = 16_384


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/hang` blocks the loop. Sockets: `/flood` writes without end, `/deaf` never reads, `/left` just ends."""
    path = scope["path"]
    if scope["type"] == "http" and path == "/hang":
        time.sleep(HANG_S)  # noqa: ASYNC251
    elif scope["type"] == "websocket" and path in ("/flood", "/deaf", "/left"):
        await receive()
        await send({"type": "websocket.accept"})
        if path == "/flood":
            while True:
                await send({"type": "websocket.send", "bytes": bytes(FLOOD_BYTES)})
        elif path == "/deaf":
            await asyncio.Event().wait()
    else:
        await site(scope, receive, send)
