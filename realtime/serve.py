"""The entry point of the process that serves the site: start, signals, drain, deadlines. `manage.py serve` calls it.

What it does not hold: what differs between web servers (`serve_uvicorn.py`, `serve_daphne.py`), the checks before
(`management/commands/serve.py`), and how a session ends (`switchboard.py`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

from django.conf import settings

from realtime.switchboard import get_switchboard
from realtime.watchdog import Watchdog
from realtime.web_server import Application, WebServer

logger = logging.getLogger("realtime.serve")
WEB_SERVERS = ("uvicorn", "daphne")
BACKLOG = 2048
# The end: a sentence (a setting, 10 s), then saving, then the last words to pages; in all less than REALTIME_EXIT_SEC,
# when the watchdog ends the process in any case. Supervisors kill later than that (Kubernetes after 30 s, systemd after
# 90 s; but `docker stop` after 10 s, unless it is told to wait).
SAVE_S = 4.0
CLOSE_S = 2.0
LEFTOVER_S = 0.5
COLLECT_AFTER = (10_000, 20, 20)  # new objects, and young and middle collections before the next older one


def web_server(name: str, application: Application) -> WebServer:
    """The web server of that name. Only that one is imported: daphne brings a loop of its own."""
    if name == "daphne":
        from realtime.serve_daphne import DaphneServer

        return DaphneServer(application)
    from realtime.serve_uvicorn import UvicornServer

    return UvicornServer(application)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def address_of(listening: socket.socket) -> str:
    """Where it listens, as people type it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Service:
    """One run of the process, from the first connection to the last word."""

    def __init__(
        self, web: WebServer, listening: socket.socket, announce: Callable[[], None] = lambda: None
    ) -> None:
        """`announce` is called once connections are accepted."""
        self._web = web
        self._listening = listening
        self._announce = announce
        self._told_to_stop = False
        self._drained = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._watchdog = Watchdog(settings.REALTIME_WATCHDOG_SEC, end_code=lambda: 0 if self._drained else 1)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; returns after an orderly end. A second signal ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._web.run(self._live)
        # The watchdog's deadline stays: threads that hang in the database may not hold up the interpreter's exit.

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # A plain handler and not the loop's: it works while the loop hangs, too.
        if self._told_to_stop:
            os._exit(128 + number)
        self._told_to_stop = True
        self._watchdog.end_by(settings.REALTIME_EXIT_SEC)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watchdog.start(self._loop)
        switchboard = get_switchboard()
        try:
            await switchboard.start()
            _spare_the_collector()
            if not self._told_to_stop:
                await self._web.start(self._listening)
                self._announce()
                await self._stop.wait()
        finally:
            logger.info("stopping; %d sessions are live", len(switchboard.relays))
            self._web.stop_accepting()
            await switchboard.drain(settings.REALTIME_DRAIN_SENTENCE_SEC, SAVE_S)
            self._drained = True
            await self._web.close(CLOSE_S)
            await _end_leftovers()
            self._watchdog.loop_is_done()


def _spare_the_collector() -> None:
    """What was imported stays: the cyclic collector need not walk through it again and again. See decision 0004."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def _end_leftovers() -> None:
    """Cancel what is still there and wait for it a moment, so that nothing is destroyed while it is pending."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=LEFTOVER_S)
