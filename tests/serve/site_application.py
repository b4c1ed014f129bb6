"""The product's application with doors for tests: a loop that hangs, and sockets whose applications have no manners."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from realtime import admission, conf
from voiceproject.asgi import application as site

FLOOD_BYTES = 16_384
held: list[bytes] = []  # what `/hold` was asked for last


def patient(*args: Any, **fields: Any) -> conf.RelayConfig:
    """The product's numbers, but pages of tests do not ping, and fifty of them on a busy machine take their time."""
    return replace(conf.relay_config(*args, **fields), heartbeat_ms=90_000)


admission.relay_config = patient


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/hang` blocks the loop, `/hold` takes memory, `/wait` answers late.

    Sockets: `/flood` writes without end, `/deaf` never reads, `/left` just ends.
    """
    path = scope["path"]
    if scope["type"] == "http" and path == "/hang":
        seconds = parse_qs(scope["query_string"].decode()).get("seconds", ["60"])[0]
        # A loop that hangs is what this door is for.
        time.sleep(float(seconds))  # noqa: ASYNC251
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif scope["type"] == "http" and path == "/hold":
        held.clear()
        try:
            held.append(bytes(int(parse_qs(scope["query_string"].decode())["bytes"][0])))
            status = 204
        except MemoryError:
            status = 507
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif scope["type"] == "http" and path == "/wait":
        await asyncio.sleep(float(parse_qs(scope["query_string"].decode())["seconds"][0]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
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
