"""The local Realtime server: its listening socket, handshakes, connections. The protocol is in `session.py`."""

from __future__ import annotations

import asyncio
import http
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from realtime.local.connection import Connection
from realtime.local.engine import Engines
from realtime.local.errors import ProtocolError, error_block
from realtime.local.faults import Fault, at_handshake
from realtime.local.handshake import PATH, SECRETS_PATH, Keys, Refusal, refusal, wanted
from realtime.local.ids import Ids
from realtime.local.options import LocalConfig
from realtime.local.posting import PostingConnection
from realtime.local.script import Script
from realtime.local.scripted_engine import ScriptedEngines
from realtime.local.session import Session
from realtime.local.shared import SessionOptions

__all__ = ["Connection", "LocalConfig", "LocalServer"]

LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
log = logging.getLogger("realtime.local")


def _monotonic_ms() -> float:
    return time.monotonic() * 1000


class LocalServer:
    """`async with LocalServer(LocalConfig(...)) as upstream:` listens until the block is left.

    `port=0` takes a free port; `url` tells it. `connections` holds accepted connections, oldest first (only open ones
    when no records are kept). `faults` may be set at any time, also while connections are open.
    `clock_ms` and `sleep` (in seconds) can be replaced by tests that rule time.
    """

    def __init__(
        self,
        config: LocalConfig | None = None,
        *,
        clock_ms: Callable[[], float] = _monotonic_ms,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        engines: Engines | None = None,
    ) -> None:
        self.config = config or LocalConfig()
        self.connections: list[Connection] = []
        self._clock_ms, self._sleep = clock_ms, sleep
        self._engines = engines
        self._keys = Keys(self.config)
        self._ids = Ids(self.config.seed)
        self._faults: list[Fault] = []
        self.faults = self.config.faults
        self._server: Server | None = None
        self._stopping = asyncio.Event()
        self._port = self.config.port

    @property
    def url(self) -> str:
        return f"ws://{self.config.host}:{self._port}{PATH}"

    @property
    def http_url(self) -> str:
        """For SDKs that want a base URL; paths follow after `/v1`."""
        return f"http://{self.config.host}:{self._port}/v1"

    @property
    def open_count(self) -> int:
        return sum(connection.open for connection in self.connections)

    @property
    def faults(self) -> list[Fault]:
        return self._faults

    @faults.setter
    def faults(self, faults: Iterable[Any]) -> None:
        self._faults = [Fault.parse(fault) for fault in faults]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load what the mode needs, then listen. Raises `OSError` for a taken port, `EngineMissing` without wheels."""
        if self._engines is None:
            self._engines = await asyncio.to_thread(self._load_engines)
        self._server = await serve(
            self._serve_connection,
            self.config.host,
            self.config.port,
            process_request=self._before_accept,
            select_subprotocol=_subprotocol,
            create_connection=PostingConnection,
            max_size=LARGEST_MESSAGE_BYTES,
            compression=None,
            server_header=None,
            open_timeout=None,
            ping_interval=None if self.config.mode == "scripted" else 20,
            close_timeout=1 if self.config.mode == "scripted" else 5,
            logger=_quiet_logger(),
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Close every connection (1001) and let go of the port and the threads."""
        self._stopping.set()
        if self._server is not None:
            self._server.close(code=1001, reason="The local server stops.")
            await self._server.wait_closed()
            self._server = None
        if self._engines is not None:
            self._engines.close()
            self._engines = None

    def _load_engines(self) -> Engines:
        config = self.config
        if config.mode == "scripted":
            return ScriptedEngines(Script(config.script), delta_ms=config.delta_ms, sleep=self._sleep)
        # The models' packages are needed in this mode only.
        from realtime.local.speech_engine import SpeechEngines

        return SpeechEngines.load(config, report=log.info)

    async def _before_accept(self, socket: ServerConnection, request: Request) -> Response | None:
        try:
            fault = at_handshake(self._faults) if urlsplit(request.path).path == PATH else None
            if fault is not None and fault.name == "stall":
                await self._hang(fault.ms)
            elif fault is not None:
                raise _fault_refusal(fault)
            return self._route(socket, request)
        except Refusal as answer:
            return _http_response(answer.status, answer.body, answer.headers)

    async def _hang(self, ms: float | None) -> None:
        if ms is not None:
            await self._sleep(ms / 1000)
            return
        await self._stopping.wait()
        raise refusal(503, "server_error", "The local server stops.")

    def _route(self, socket: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        posted = getattr(socket, "posted_body", None)
        if path == "/healthz" and posted is None:
            return _http_response(200, {"status": "ok", "mode": self.config.mode, "open": self.open_count})
        if path == SECRETS_PATH:
            if posted is None:
                raise refusal(405, "method_not_allowed", "Use POST.", ("Allow", "POST"))
            self._keys.check(request.headers, time.time())
            try:
                return _http_response(200, self._keys.mint(posted, self._ids, int(time.time())))
            except ProtocolError as error:
                return _http_response(400, {"error": error_block(error)})
        if path != PATH:
            raise refusal(404, "not_found", f"There is nothing here; the Realtime API is at {PATH}.")
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            raise refusal(400, "upgrade_required", "This address is for WebSocket connections only.")
        self._keys.check(request.headers, time.time())
        if self.open_count >= self.config.max_sessions:
            message = f"The local server has {self.config.max_sessions} sessions open, which is its limit."
            raise refusal(429, "too_many_sessions", message, ("Retry-After", "5"))
        return None

    async def _serve_connection(self, socket: ServerConnection) -> None:
        assert self._engines is not None
        assert socket.request is not None
        try:
            wish = wanted(socket.request.path, socket.request.headers)
        except ProtocolError as error:
            event = {"type": "error", "event_id": self._ids.new("event"), "error": error_block(error)}
            await socket.send(json.dumps(event))
            await socket.close(4000, f"invalid_request_error.{error.code}")
            return
        engine = self._engines.connect()
        options = SessionOptions(
            model=wish.model,
            kind=wish.kind,
            max_session_ms=self.config.max_session_ms,
            silence_ms=self.config.silence_ms,
            speculate=engine.speculate,
            partials=engine.partials,
            wait_for_transcript=engine.wait_for_transcript,
        )
        ids = Ids(None if self.config.seed is None else f"{self.config.seed}-{len(self.connections)}")
        connection = Connection(
            socket,
            Session(options, ids, now_ms=self._clock_ms(), epoch_s=int(time.time())),
            engine,
            clock_ms=self._clock_ms,
            sleep=self._sleep,
            pace=self.config.audio_pace,
            keep_records=self.config.keeps_records,
            faults=lambda: self._faults,
        )
        self.connections.append(connection)
        log.info("connection opened, %d open", self.open_count)
        try:
            await connection.run()
        except Exception:
            log.exception("a connection failed")
            await socket.close(1011, "The local server failed.")
        finally:
            if not self.config.keeps_records:
                self.connections.remove(connection)
            log.info("connection closed with %s, %d open", connection.close_code, self.open_count)


def _subprotocol(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Browsers offer `realtime` beside their key; others offer nothing, which the library's list would refuse."""
    return Subprotocol("realtime") if "realtime" in offered else None


def _fault_refusal(fault: Fault) -> Refusal:
    if fault.name == "rate_limited":
        return refusal(
            429, "rate_limit_exceeded", "Rate limit reached.", ("Retry-After", f"{fault.retry_after:g}")
        )
    codes = {
        401: "invalid_api_key",
        403: "insufficient_permissions",
        404: "not_found",
        429: "rate_limit_exceeded",
    }
    return refusal(fault.status, codes.get(fault.status, "server_error"), "The connection was refused.")


def _http_response(status: int, body: dict[str, Any], headers: Iterable[tuple[str, str]] = ()) -> Response:
    content = json.dumps(body).encode()
    fields = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content))),
        ("Connection", "close"),
    ]
    return Response(int(status), http.HTTPStatus(status).phrase, Headers([*fields, *headers]), content)


def _quiet_logger() -> logging.Logger:
    """The library logs handshakes that fail with a traceback; refusing is everyday here, and headers hold keys."""
    logger = logging.getLogger("realtime.local.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger
