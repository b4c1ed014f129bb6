"""The largest body of a request: Django's ASGI side would write one of any size to the disk before a view sees it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from realtime.web_server import MAX_BODY_BYTES, Application, Event, Receive, Send

TOO_LARGE = json.dumps({"detail": "This is too large."}).encode()


def bounded(application: Any) -> Application:
    """The HTTP application, which is told that the peer is gone once a body is larger; that peer is answered 413."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        left = MAX_BODY_BYTES
        answered = False

        async def take() -> Event:
            nonlocal left
            event = await receive()
            left -= len(event.get("body", b""))
            return event if left >= 0 else {"type": "http.disconnect"}

        async def give(event: Event) -> None:
            nonlocal answered
            answered = True
            await send(event)

        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told[:20]) > left:
            left = -1
        else:
            await application(scope, take, give)
        if left < 0 and not answered:
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": TOO_LARGE})

    return run
