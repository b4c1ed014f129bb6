"""Lets the WebSocket port answer POST, which the websockets library refuses to parse. Knows no paths."""

from __future__ import annotations

import re

from websockets.asyncio.server import ServerConnection

LONGEST_REQUEST_BYTES = 256 * 1024


class PostingConnection(ServerConnection):
    """A server connection that takes a POST for a GET without upgrade and keeps its body in `posted_body`."""

    posted_body: bytes | None = None
    _held: bytes | None = (
        b""  # bytes of a request whose method is not known yet, or of a POST; None once it is a GET
    )

    def data_received(self, data: bytes) -> None:
        if self._held is None:
            super().data_received(data)
            return
        self._held += data
        if b"POST ".startswith(self._held[:5]):
            self._take_post()
        else:
            held, self._held = self._held, None
            super().data_received(held)

    def _take_post(self) -> None:
        held = self._held or b""
        head, end, body = held.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        wanted_bytes = int(length[1]) if length else 0
        if len(held) > LONGEST_REQUEST_BYTES or wanted_bytes > LONGEST_REQUEST_BYTES:
            self.transport.abort()
        elif end and len(body) >= wanted_bytes:
            self.posted_body, self._held = body[:wanted_bytes], None
            # The library refuses requests with a body, so it gets to see the head alone.
            head = re.sub(rb"\r\n(content-length|transfer-encoding):[^\r]*", b"", head, flags=re.IGNORECASE)
            super().data_received(b"GET " + head[len(b"POST ") :] + b"\r\n\r\n")
