"""The provider's door on picows, where that is chosen: what comes is handed over as it arrives, in no task's turn.

Keeps the promises of `upstream.UpstreamLink`, with the same limits; `upstream.py` chooses. It must never be needed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSError,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from realtime import upstream
from realtime.bell import Bell
from realtime.exceptions import UpstreamError, UpstreamLost, UpstreamRefused, UpstreamUnreachable
from realtime.turn_end import Gathered

GRACE_S = 0.5  # for the library's own timeout to come first
READ_BUFFER_BYTES = 4 * 1024  # to begin with: it grows with the largest event
# The kernel's, of one connection. picows' own doubles whenever a read has filled it, and never shrinks: so no read may
# bring more. A second of speech is 64 KB as base64.
RECEIVE_BUFFER_BYTES = 128 * 1024


class PicowsLink(WSListener):
    """An open Realtime socket. See `upstream.UpstreamLink`."""

    def __init__(self) -> None:
        super().__init__()
        self._transport: WSTransport | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._take: Callable[[bytes], bool | None] | None = None
        self._enough: asyncio.Future[None] | None = None
        self._early: list[bytes] = []  # came while nobody was reading
        self._parts: list[bytes] = []  # of a message in several frames
        self._code: int | None = None
        self._writable = Bell()
        self._writable.set()
        self._gathered = Gathered(self._put)

    # ---- what the relay calls ----------------------------------------------------------------------------

    def try_send(self, text: bytes) -> bool:
        """Send one event now. False when it must wait, or when the connection is over."""
        if self._transport is None or not self._writable.is_set():
            return False
        self._gathered.add(text)
        return True

    def _put(self, texts: list[bytes]) -> None:
        for text in texts:
            if self._transport is not None:
                self._transport.send(WSMsgType.TEXT, text)

    async def send(self, text: bytes) -> None:
        """Send one event as soon as there is room. Raises UpstreamLost, also when there is none for 15 s."""
        try:
            async with asyncio.timeout(upstream.SEND_TIMEOUT_S):
                await self._writable.wait()
        except TimeoutError:
            raise UpstreamLost() from None
        if not self.try_send(text):
            raise UpstreamLost(self._code)

    async def read(self, take: Callable[[bytes], bool | None]) -> None:
        """Hand over what comes until `take` says that it is enough. Raises UpstreamLost, and what `take` raises."""
        self._enough = asyncio.get_running_loop().create_future()
        self._take = take
        try:
            while self._early and not self._enough.done():
                self._hand_over(self._early.pop(0))
            self._read_on()
            if self._transport is None and not self._enough.done():
                raise UpstreamLost(self._code)
            await self._enough
        finally:
            self._take = None

    def stop(self) -> None:
        """Have the `read` that is under way return now."""
        if self._enough is not None and not self._enough.done():
            self._enough.set_result(None)

    async def close(self) -> None:
        """Close; twice is nothing. Never takes much longer than the time for the closing handshake."""
        self._gathered.send()
        if self._transport is None:
            return
        self._transport.send_close(WSCloseCode.OK)
        self._read_on()  # to the answer
        await asyncio.wait({self._over}, timeout=upstream.CLOSE_TIMEOUT_S)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # ---- what picows calls -------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        plain = transport.underlying_transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame: part of a message, or control."""
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin:
            self._message(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if sum(map(len, self._parts)) > upstream.MAX_MESSAGE_BYTES:
                transport.disconnect(graceful=False)
            elif frame.fin:
                whole = b"".join(self._parts)
                self._parts.clear()
                self._message(whole)
        elif kind == WSMsgType.CLOSE:
            self._code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big") or None
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is over."""
        self._transport = None
        self._writable.set()  # who waits is to find out
        if not self._over.done():
            self._over.set_result(None)
        if self._take is not None and self._enough is not None and not self._enough.done():
            self._enough.set_exception(UpstreamLost(self._code))
        # What it found wrong with the peer's frames is told here, and to the log when nobody asks.
        over = asyncio.ensure_future(transport.wait_disconnected())
        over.add_done_callback(lambda done: done.cancelled() or done.exception())

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._writable.set()

    # ------------------------------------------------------------------------------------------------------

    def _message(self, raw: bytes) -> None:
        if (
            self._take is not None
            and not self._early
            and self._enough is not None
            and not self._enough.done()
        ):
            self._hand_over(raw)
            return
        self._early.append(raw)
        if len(self._early) >= upstream.MAX_QUEUED_MESSAGES and self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def _hand_over(self, raw: bytes) -> None:
        assert self._take is not None
        assert self._enough is not None
        try:
            if self._take(raw):
                self._enough.set_result(None)
        except Exception as error:  # for whoever reads, and not for the library's log
            self._enough.set_exception(error)

    def _read_on(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()


async def open_link(url: str, headers: dict[str, str]) -> PicowsLink:
    """Dial. Raises an UpstreamError, or an exception that `upstream.translate` knows."""
    try:
        async with asyncio.timeout(upstream.OPEN_TIMEOUT_S + GRACE_S):
            _, link = await ws_connect(
                PicowsLink,
                url,
                ssl_context=upstream.tls_for(url),
                extra_headers=headers,
                websocket_handshake_timeout=upstream.OPEN_TIMEOUT_S,  # it closes the socket, where a cancel would not
                enable_auto_ping=True,
                auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,  # what comes is a sign of life
                auto_ping_idle_timeout=upstream.PING_INTERVAL_S,
                auto_ping_reply_timeout=upstream.PING_TIMEOUT_S,
                max_frame_size=upstream.MAX_MESSAGE_BYTES,
                max_redirects=0,  # the key must not travel to another host
                proxy=None,
                read_buffer_init_size=READ_BUFFER_BYTES,
            )
    except WSError as error:
        raise _translated(error) from None
    if not isinstance(link, PicowsLink):
        raise UpstreamUnreachable()  # the peer hung up before it answered: picows tells by having no listener
    return link


def _translated(error: WSError) -> UpstreamError:
    """The refusal's body is never read: it can quote part of the key."""
    if isinstance(error, WSInvalidStatusError) and error.response is not None:
        wait = error.response.headers.get("Retry-After")
        return UpstreamRefused(int(error.response.status), upstream.retry_after_s(wait))
    return UpstreamUnreachable()
