"""The live relays of this process, by session: start, attach, take over, keep leases, drain. One per event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError

from realtime import services
from realtime.breaker import Breaker
from realtime.exceptions import Refused
from realtime.journal import Journal
from realtime.relay import BrowserLink, Dial, Relay
from realtime.services import Opening
from realtime.session import Session
from realtime.upstream import open_upstream

logger = logging.getLogger("realtime.switchboard")
RENEW_EVERY_S = 10.0
WORKER = f"{socket.gethostname()}:{os.getpid()}"


class Switchboard:
    """Finds the relay of a session, or starts it."""

    def __init__(self, journal: Journal, *, dial: Dial = open_upstream) -> None:
        self.journal = journal
        self.dial = dial
        self.breaker = Breaker()
        self.relays: dict[UUID, Relay] = {}
        self.draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._housekeeping: asyncio.Task[None] | None = None

    def attach(self, opening: Opening, link: BrowserLink, hello: dict[str, Any]) -> Relay:
        """The relay of a redeemed token, with this connection attached. Raises Refused when it cannot be had."""
        if self.draining:
            raise Refused(503, "draining", "This server is restarting. Try again in a moment.")
        relay = self.relays.get(opening.session_id)
        if relay is None:
            if opening.resumed:
                raise Refused(410, "session.gone", "The call is over. Start again.")
            relay = self._start(opening)
        relay.attach(link, hello)
        return relay

    def _start(self, opening: Opening) -> Relay:
        for other in list(self.relays.values()):
            if other.conversation_id == opening.conversation_id:
                other.end("superseded")  # one live session per conversation: the newest
        relay = Relay(
            Session(opening.config, random.SystemRandom(), str(opening.session_id)),
            self.journal,
            session_id=opening.session_id,
            conversation_id=opening.conversation_id,
            user_id=opening.user_id,
            dial=self.dial,
            breaker=self.breaker,
        )
        self.relays[opening.session_id] = relay
        self._own(self._live(relay), f"relay {opening.session_id}")
        if self._housekeeping is None or self._housekeeping.done():
            self._housekeeping = self._own(self._keep_house(), "switchboard housekeeping")
        return relay

    def _own(self, work: Any, name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _live(self, relay: Relay) -> None:
        try:
            await relay.run()
        finally:
            self.relays.pop(relay.session_id, None)

    async def _keep_house(self) -> None:
        """While sessions live: renew leases, end sessions whose rights are gone and rows that a crash left behind."""
        while self.relays:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                ends = await database_sync_to_async(services.renew_leases)(list(self.relays))
                await database_sync_to_async(services.reap_lost_sessions)()
            except DatabaseError as error:
                logger.warning("leases could not be renewed: %s", type(error).__name__)
                continue
            for session_id, reason in ends.items():
                if relay := self.relays.get(session_id):
                    relay.end(reason)

    def end_user(self, user_id: int, reason: str) -> None:
        """End all sessions of a person on this process."""
        for relay in list(self.relays.values()):
            if relay.user_id == user_id:
                relay.end(reason)

    async def drain(self, sentence_s: float = 10.0, save_s: float = 5.0) -> None:
        """Take nothing new, let sentences finish within a bound, end every session and store what they leave."""
        self.draining = True
        for relay in list(self.relays.values()):
            relay.drain()
        deadline = asyncio.get_running_loop().time() + sentence_s
        while any(not relay.session.quiet for relay in self.relays.values()):
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(0.1)
        for relay in list(self.relays.values()):
            relay.end("draining")
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.journal.close(save_s)


_switchboards: WeakKeyDictionary[asyncio.AbstractEventLoop, Switchboard] = WeakKeyDictionary()


def get_switchboard() -> Switchboard:
    """This process's switchboard; each event loop has its own, so that tests do not share one."""
    loop = asyncio.get_running_loop()
    if loop not in _switchboards:
        _switchboards[loop] = Switchboard(Journal(services.write_entries, settings.REALTIME_SPILL_DIR))
    return _switchboards[loop]
