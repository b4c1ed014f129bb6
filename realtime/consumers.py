"""The browser's socket: accept or refuse, decode, hand over, send. No decisions about the talk.

Channels' own `dispatch` awaits a database-cleanup hop on one shared thread before every message, which puts the audio
of all sessions behind any slow query of any of them. So this consumer awaits `receive` itself. That is safe because no
ORM call is made on the connection's task but the one `redeem` before accept, which hops on its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError
from django.http import parse_cookie

from realtime import browser_events, metrics
from realtime.admission import Opening, redeem
from realtime.doorkeeper import address_of
from realtime.exceptions import BadMessage, BrowserError, Refused
from realtime.ownership import WORKER, give_up_elsewhere
from realtime.relay import BrowserLink, Relay
from realtime.services import close_unbegun
from realtime.switchboard import GONE, get_switchboard
from realtime.web_server import DIRECT, Direct

logger = logging.getLogger("realtime.consumer")
PROTOCOL = "voice.v1"
TOKEN_PREFIX = "t."  # noqa: S105 - not a secret: what marks one
HELLO_TIMEOUT_S = 10
SEND_TIMEOUT_S = 15
CLOSE_TIMEOUT_S = 5

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class BrowserLeft(Exception):
    """The page closed its socket, or the network did."""


class Ears:
    """Takes what a page says to its relay, until something is wrong with it or the page is of no use any more."""

    def __init__(self, relay: Relay, link: BrowserLink) -> None:
        self._relay = relay
        self._link = link
        self._deaf = False
        self.broken: Exception | None = None  # our own fault

    def hear(self, data: str | bytes) -> None:
        """One message. Never raises."""
        if self._deaf:
            return
        try:
            if self._relay.link is not self._link:  # superseded or ended, and so closed
                self._deaf = True
            elif isinstance(data, bytes):
                self._relay.browser_audio(data)
            elif (played := browser_events.position_of(data)) is not None:
                self._relay.browser_position(*played)
            else:
                self._relay.browser_message(browser_events.parse(data))
        except BrowserError as error:
            self._deaf = True
            refuse(self._link, error)
        except Exception as error:
            self.broken = error
            self.left(4500)

    def left(self, code: int = 1000) -> None:
        """Nothing more will come."""
        self._deaf = True
        self._link.close(code)


class RealtimeConsumer(AsyncConsumer):
    """One connection of a page."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve the connection from handshake to close."""
        if (await receive())["type"] != "websocket.connect":
            return
        doorkeeper, address = get_switchboard().doorkeeper, address_in(scope)
        if reason := doorkeeper.enter(address, time.monotonic()):
            metrics.admission_refused_total.labels(reason).inc()
            logger.info("a socket was refused: %s, from %s", reason, address)
            await send({"type": "websocket.close", "code": 4429})
            return
        try:
            await self._serve(scope, receive, send, address)
        finally:
            doorkeeper.left(address)

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send, address: str) -> None:
        try:
            token = offered_token(scope.get("subprotocols") or [])
            opening = await database_sync_to_async(redeem)(
                token_text=token,
                origin=header(scope, b"origin"),
                worker=WORKER,
                session_id=scope.get("url_route", {}).get("kwargs", {}).get("session_id"),
                user_agent=header(scope, b"user-agent"),
                login_key=login_key(scope),
            )
        except Refused as refused:
            logger.info("a socket was refused: %s, from %s", refused.code, address or "nowhere")
            await send({"type": "websocket.close", "code": 4401})
            return
        except DatabaseError as error:  # the page mints again, and the mint's answer says that it must wait
            logger.warning("a socket was refused: the database answers with %s", type(error).__name__)
            await send({"type": "websocket.close", "code": 4503})
            return
        for offered in (scope.get("headers"), scope.get("subprotocols")):
            if isinstance(offered, list):
                offered.clear()  # cookies and the token are not kept as long as the connection
        how = "resumed" if opening.resumed else "opened"
        logger.info("session %s is %s from %s", opening.session_id, how, address or "nowhere")
        direct: Direct | None = scope.get("extensions", {}).get(DIRECT)
        link = BrowserLink(direct.write if direct else None)
        relay: Relay | None = None
        reader: asyncio.Task[None] | None = None
        never_began = "not_begun"
        try:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                first = said(await receive())
            hello = browser_events.parse(first) if isinstance(first, str) else {"type": "audio"}
            if hello["type"] != "hello":
                raise BadMessage("hello comes first")
            relay = await self._attach(opening, link, hello)
            ears = Ears(relay, link)
            if direct is None or not direct.begin(ears.hear, ears.left):
                reader = asyncio.create_task(self._read(ears, receive, direct), name="browser reader")
            await self._write(link, send)
            if ears.broken is not None:
                raise ears.broken
        except (BrowserError, Refused) as error:
            if isinstance(error, Refused):
                never_began = error.code.replace(".", "_")  # as the ends of sessions are written
            refuse(link, error)
        except TimeoutError:
            link.close(4408)
        except BrowserLeft:
            link.close(1000)
        finally:
            if reader is not None:
                reader.cancel()
            if relay is not None:
                relay.detach(link)
            # A returned application leaves the socket open on some servers: close it, whatever happened.
            link.close(4500)
            await self._close(link, send)
            if relay is None and not opening.resumed:
                # Whoever closed first: a page that has not said hello when the process ends could not begin here.
                await self._end_row(opening, "draining" if get_switchboard().draining else never_began)

    async def _attach(self, opening: Opening, link: BrowserLink, hello: dict[str, Any]) -> Relay:
        try:
            return get_switchboard().attach(opening, link, hello)
        except Refused as refused:
            if refused.code != GONE:
                raise
            # The process that had the session crashed, or the proxy no longer finds it. When this is stored, the
            # page's next mint begins a new session in the same conversation, wherever that comes to be.
            try:
                await database_sync_to_async(give_up_elsewhere)(session_id=opening.session_id, worker=WORKER)
            except Exception as error:  # the reaper does it when the lease is over
                logger.warning("session %s is not given up: %s", opening.session_id, type(error).__name__)
            raise

    async def _end_row(self, opening: Opening, reason: str) -> None:
        """The token was spent and no relay came of it: end the row here, for no relay will."""
        try:
            await database_sync_to_async(close_unbegun)(session_id=opening.session_id, reason=reason)
        except Exception as error:  # the reaper does it when the lease is over
            logger.warning("session %s could not be ended: %s", opening.session_id, type(error).__name__)

    async def _read(self, ears: Ears, receive: Receive, direct: Direct | None) -> None:
        """Hand over what the page says, without ever waiting on anything but the page, until the server does that."""
        try:
            while direct is None or not direct.begin(ears.hear, ears.left):
                ears.hear(said(await receive()))
        except BrowserLeft:
            ears.left()
        except Exception as error:
            ears.broken = error
            ears.left(4500)

    async def _write(self, link: BrowserLink, send: Send) -> None:
        """Send what the page is told, until the link is closed or nothing can be sent any more."""

        async def deliver(payload: str | bytes) -> None:
            kind = "text" if isinstance(payload, str) else "bytes"
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send({"type": "websocket.send", kind: payload})

        try:
            await link.pump(deliver)
        except TimeoutError:
            link.close_code = 4508
            link.outbox.clear()
        except Exception as error:  # servers differ in what they raise when the peer is gone
            logger.debug("a page could not be written to: %s", type(error).__name__)
            link.outbox.clear()

    async def _close(self, link: BrowserLink, send: Send) -> None:
        """Send what still waits, and the end."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._write(link, send)
                await send({"type": "websocket.close", "code": link.close_code or 1000})
        except Exception as error:
            logger.debug("a page could not be closed: %s", type(error).__name__)


def refuse(link: BrowserLink, error: BrowserError | Refused) -> None:
    """Say why, and close."""
    code = 4503 if isinstance(error, Refused) else error.close_code
    link.outbox.put_message(
        browser_events.message(
            "error",
            code=error.code,
            message=error.sentence,
            retryable=isinstance(error, Refused),
            retry_after=error.retry_after_s,
            detail=str(error) if isinstance(error, BrowserError) else None,
        )
    )
    link.close(code)


def offered_token(subprotocols: list[str]) -> str:
    """The session token among the offered subprotocols. Raises Refused when the offer is not ours."""
    found = [name.removeprefix(TOKEN_PREFIX) for name in subprotocols if name.startswith(TOKEN_PREFIX)]
    if PROTOCOL not in subprotocols or len(found) != 1:
        raise Refused(401, "token.missing", "This voice link has expired.")
    return found[0]


def header(scope: dict[str, Any], name: bytes) -> str:
    """A header that must come once; two of them count as none that could match."""
    values = [value for key, value in scope.get("headers", []) if key == name]
    if len(values) > 1:
        return "\x00 more than one"
    return values[0].decode("latin-1") if values else ""


def address_in(scope: dict[str, Any]) -> str:
    """Whose connection it is, as our outermost proxy saw it; "" when the server does not say."""
    forwarded = [
        value.decode("latin-1") for key, value in scope.get("headers", []) if key == b"x-forwarded-for"
    ]
    direct = (scope.get("client") or ("",))[0]
    return address_of(direct, forwarded, int(str(settings.REST_FRAMEWORK["NUM_PROXIES"])))


def login_key(scope: dict[str, Any]) -> str:
    """The key in the login's cookie, when the page's browser sent one."""
    # HTTP/2 may split the header.
    cookies = b"; ".join(value for key, value in scope.get("headers", []) if key == b"cookie")
    return parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")[:40]


def said(event: dict[str, Any]) -> str | bytes:
    """What a page sent. Raises BrowserLeft."""
    if event["type"] != "websocket.receive":
        raise BrowserLeft
    data = event.get("bytes")
    return data if data is not None else event.get("text") or ""
