"""WebSocket routes. An address that is not ours is refused before accept."""

from typing import Any

from django.urls import path, re_path

from realtime.consumers import RealtimeConsumer


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Close before accept: the browser sees HTTP 403."""
    if scope["type"] == "websocket" and (await receive())["type"] == "websocket.connect":
        await send({"type": "websocket.close", "code": 4404})


websocket_urlpatterns = [
    # The session's id is for a proxy that sends a page that comes back to the process that has its session.
    path("ws/realtime/<uuid:session_id>/", RealtimeConsumer.as_asgi()),
    path("ws/realtime/", RealtimeConsumer.as_asgi()),
    re_path(r"", refuse),  # type: ignore[arg-type]  # the stubs know views only
]
