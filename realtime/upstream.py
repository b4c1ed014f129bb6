"""The provider's door: opens the Realtime socket, sends and receives texts, translates errors. Knows no events.

On the `websockets` library, or on picows where that is installed and chosen (`upstream_picows.py`);
docs/decisions/0004-hot-path.md says what each costs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.util import find_spec
from time import time
from typing import Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode

from realtime.conf import LOOPBACK_HOSTS, RelayConfig
from realtime.exceptions import (
    UpstreamError,
    UpstreamLost,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamUntrusted,
)

OPEN_TIMEOUT_S = 8
CLOSE_TIMEOUT_S = 2
PING_INTERVAL_S, PING_TIMEOUT_S = 10, 8
SEND_TIMEOUT_S = 15
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_QUEUED_MESSAGES = 64
YIELD_EVERY = 32  # messages; a flood from upstream must not starve the other sessions
HAS_PICOWS = find_spec("picows") is not None


class UpstreamLink(Protocol):
    """An open Realtime socket."""

    @property
    def try_send(self) -> Callable[[bytes], bool] | None:
        """Sends one event now, or returns false: then `send` waits for room, or finds the end. None: use `send`."""

    async def send(self, text: bytes) -> None:
        """Send one event. Raises UpstreamLost; a peer that does not read for 15 s counts as lost."""

    async def read(self, take: Callable[[bytes], bool | None]) -> None:
        """Hand each event's raw JSON to `take` until that says that it is enough; what follows waits for the next read.

        Raises UpstreamLost at the end, whatever the close code was, and what `take` raises.
        """

    def stop(self) -> None:
        """Have the `read` that is under way return now."""

    async def close(self) -> None:
        """Close before the block that opened it is left; closing twice is nothing."""


class NoRedirect(connect):
    """A handshake that follows no redirect: the key must not travel to another host."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class AlivePeer(ClientConnection):
    """Whatever comes is a sign of life, not only a pong: on a slow cable that waits behind seconds of speech."""

    _heard_s = 0.0

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._heard_s = self.loop.time()
        super().data_received(data)

    async def keepalive(self) -> None:
        """Ping a peer that is silent, and end the connection when it stays so."""
        assert self.ping_interval is not None
        assert self.ping_timeout is not None
        while True:
            await asyncio.sleep(max(0.0, self._heard_s + self.ping_interval - self.loop.time()))
            asked_s = self.loop.time()
            if self._heard_s + self.ping_interval > asked_s:
                continue
            await self.ping()
            await asyncio.sleep(self.ping_timeout)
            if self._heard_s < asked_s:
                async with self.send_context():
                    self.protocol.fail(CloseCode.INTERNAL_ERROR, "no sign of life")
                return


class WebsocketsLink:
    """See `UpstreamLink`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._reading: asyncio.Task[None] | None = None

    try_send = None  # the library sends only from a task

    async def send(self, text: bytes) -> None:
        """Send one event. Raises UpstreamLost."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._socket.send(text, text=True)
        except ConnectionClosed as closed:
            raise _lost(closed) from None
        except TimeoutError:
            raise UpstreamLost() from None

    async def read(self, take: Callable[[bytes], bool | None]) -> None:
        """Hand over what comes. Raises UpstreamLost, and what `take` raises."""
        self._reading = asyncio.create_task(self._read(take), name="upstream reader")
        try:
            await self._reading
        except asyncio.CancelledError:
            reader = asyncio.current_task()
            if reader is None or reader.cancelling():
                raise  # else it was stopped

    def stop(self) -> None:
        """Have the `read` that is under way return now."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, take: Callable[[bytes], bool | None]) -> None:
        count = 0
        while True:
            try:
                raw = await self._socket.recv(decode=False)
            except ConnectionClosed as closed:
                # A normal close (1000, 1001 at the session's maximum age) is an end too: nothing more will come.
                raise _lost(closed) from None
            if take(raw if isinstance(raw, bytes) else raw.encode()):
                return
            count += 1
            if count % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Close; twice is nothing."""
        await self._socket.close()


@asynccontextmanager
async def open_upstream(config: RelayConfig) -> AsyncIterator[UpstreamLink]:
    """Dial the upstream for the length of the block. Raises an UpstreamError when it cannot be opened."""
    headers = {"User-Agent": "voiceproject"}
    if config.api_key:
        headers["Authorization"] = f"Bearer {config.api_key[:]}"
    if config.safety_identifier:
        headers["OpenAI-Safety-Identifier"] = config.safety_identifier
    opened: Callable[[str, dict[str, str]], Awaitable[UpstreamLink]] = _open_link
    if config.upstream_library == "picows" and HAS_PICOWS:
        from realtime import upstream_picows

        opened = upstream_picows.open_link
    try:
        link = await opened(address(config), headers)
    except Exception as error:
        raise translate(error) from None
    try:
        yield link
    finally:
        await link.close()


async def _open_link(url: str, headers: dict[str, str]) -> WebsocketsLink:
    """On the `websockets` library."""
    socket = await NoRedirect(
        url,
        create_connection=AlivePeer,
        additional_headers=headers,
        user_agent_header=None,
        compression=None,
        proxy=None,
        ssl=tls_for(url),
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=MAX_QUEUED_MESSAGES,
    )
    return WebsocketsLink(socket)


def tls_for(url: str) -> ssl.SSLContext | None:
    """What a dial of this address trusts: the system's authorities, or those of SSL_CERT_FILE; None without TLS."""
    if urlsplit(url).scheme != "wss":
        return None
    paths = ssl.get_default_verify_paths()
    return _trusting(paths.cafile, paths.capath)


@cache
def _trusting(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """One for all connections: to read the authorities takes 20 ms of the event loop, and to hold them a megabyte."""
    return ssl.create_default_context()


def address(config: RelayConfig) -> str:
    """The URL to dial: the configured one with the model. Plain `ws://` is for this machine only."""
    parts = urlsplit(config.upstream_url)
    if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in LOOPBACK_HOSTS):
        raise UpstreamUnreachable()
    return urlunsplit(parts._replace(query=urlencode({"model": config.model})))


def translate(error: Exception) -> UpstreamError:
    """Our error for one of the library's. The refusal's body is never read: it can quote part of the key."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, InvalidStatus):
        return UpstreamRefused(
            error.response.status_code, retry_after_s(error.response.headers.get("Retry-After"))
        )
    if isinstance(error, TimeoutError):
        return UpstreamTimeout()
    if isinstance(error, ssl.SSLCertVerificationError):
        return UpstreamUntrusted()
    if isinstance(error, OSError | ssl.SSLError | InvalidHandshake):
        return UpstreamUnreachable()
    raise error


def retry_after_s(header: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds a number or a date; None when it is absent or nonsense."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except ValueError:
        return None


def _lost(closed: ConnectionClosed) -> UpstreamLost:
    return UpstreamLost(closed.rcvd.code if closed.rcvd else None)
