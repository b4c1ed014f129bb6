"""The provider's door: opens the Realtime socket, sends and receives texts, translates errors. Knows no events."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

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


class NoRedirect(connect):
    """A handshake that follows no redirect: the key must not travel to another host."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class UpstreamLink:
    """An open Realtime socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send one event. Raises UpstreamLost; a peer that does not read for 15 s counts as lost."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._socket.send(text)
        except ConnectionClosed as closed:
            raise _lost(closed) from None
        except TimeoutError:
            raise UpstreamLost() from None

    async def close(self) -> None:
        """Close before the block that opened it is left; closing twice is nothing."""
        await self._socket.close()

    async def receive(self) -> bytes:
        """The next event's raw JSON. Raises UpstreamLost at the end, whatever the close code was."""
        try:
            raw = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            # A normal close (1000, 1001 at the session's maximum age) is an end too: nothing more will come.
            raise _lost(closed) from None
        return raw if isinstance(raw, bytes) else raw.encode()


@asynccontextmanager
async def open_upstream(config: RelayConfig) -> AsyncIterator[UpstreamLink]:
    """Dial the upstream for the length of the block. Raises an UpstreamError when it cannot be opened."""
    headers = {}
    if config.api_key:
        headers["Authorization"] = f"Bearer {config.api_key[:]}"
    if config.safety_identifier:
        headers["OpenAI-Safety-Identifier"] = config.safety_identifier
    dial = NoRedirect(
        address(config),
        additional_headers=headers,
        user_agent_header="voiceproject",
        compression=None,
        proxy=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=MAX_QUEUED_MESSAGES,
    )
    try:
        socket = await dial
    except Exception as error:
        raise translate(error) from None
    try:
        yield UpstreamLink(socket)
    finally:
        await socket.close()


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
