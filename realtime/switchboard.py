"""The live relays of this process, by session: start, attach, take over, keep leases, drain. One per event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.utils import timezone

from realtime import budgets, holds, leases, neighbours, past, services
from realtime.admission import Opening
from realtime.allowance import Verdict
from realtime.breaker import Breaker
from realtime.clock import SteadyClock
from realtime.doorkeeper import Doorkeeper
from realtime.effects import Reserve
from realtime.exceptions import Refused
from realtime.journal import Journal
from realtime.ownership import WORKER
from realtime.recorder import RecordingThread
from realtime.relay import BrowserLink, Dial, Relay
from realtime.session import Session
from realtime.upstream import open_upstream

logger = logging.getLogger("realtime.switchboard")
FORGET_EVERY_S = 3600.0
SUM_UP_EVERY_S = 30.0
PAUSES = 9  # times as long as a step
GONE = "session.gone"
CHANCE = random.SystemRandom()  # one for all: each holds 2.5 KB
HANG_UP_S = 4.0  # for the upstream sockets of a drain: their own closing handshake takes 2


class Switchboard:
    """Finds the relay of a session, or starts it."""

    def __init__(self, journal: Journal, *, dial: Dial = open_upstream) -> None:
        self.journal = journal
        self.journal.on_stuck = self._storage_stuck
        self.dial = dial
        self.breaker = Breaker()
        self.doorkeeper = Doorkeeper(
            settings.REALTIME_MAX_SOCKETS_PER_ADDRESS, settings.REALTIME_HANDSHAKES_PER_SEC
        )
        self.recordings = RecordingThread()
        self.relays: dict[UUID, Relay] = {}
        self.draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._housekeeping: list[asyncio.Task[None]] = []
        self._rights_in_doubt = False
        self._asks_how_sure = True
        self._clock = SteadyClock(time.time(), time.monotonic())

    async def start(self) -> None:
        """Put in order what earlier processes left behind, and keep house from now on."""
        await self.journal.start()  # before the reaper: what was spilled may hold the true end of a session
        # The database may have been away until now, and the other processes about to renew: they have a lease's time.
        self._clock.doubt(time.monotonic(), settings.REALTIME_LEASE_SEC)
        try:
            self._tell_lost(await database_sync_to_async(leases.reap_lost_sessions)(only_dead=True))
        except Exception as error:
            logger.warning("rows of lost sessions stay for now: %s", type(error).__name__)
        self._keep_house()

    def attach(self, opening: Opening, link: BrowserLink, hello: dict[str, Any]) -> Relay:
        """The relay of a redeemed token, with this connection attached. Raises Refused when it cannot be had."""
        if self.draining:
            raise Refused(503, "draining", "This server is restarting. Try again in a moment.")
        if self.journal.stuck:
            raise Refused(
                503, "storage.stuck", "Nothing can be saved at the moment. Try again in some minutes."
            )
        relay = self.relays.get(opening.session_id)
        if relay is None or relay.finished.is_set():  # over: only its sockets and functions end yet
            if opening.resumed:
                raise Refused(410, GONE, "The call is over. Start again.")
            relay = self._start(opening)
        relay.attach(link, hello)
        return relay

    def _start(self, opening: Opening) -> Relay:
        for other in list(self.relays.values()):
            if other.conversation_id == opening.conversation_id:
                other.end("superseded")  # one live session per conversation: the newest
        relay = Relay(
            Session(
                replace(opening.config, asks_how_sure=self._asks_how_sure), CHANCE, str(opening.session_id)
            ),
            self.journal,
            session_id=opening.session_id,
            conversation_id=opening.conversation_id,
            user_id=opening.user_id,
            recordings=self.recordings,
            dial=self.dial,
            breaker=self.breaker,
            reserve=reserve,
        )
        self.relays[opening.session_id] = relay
        self._own(self._live(relay), f"relay {opening.session_id}")
        self._own(self._first_look(relay), f"first look at {opening.session_id}")
        self._keep_house()
        if opening.superseded:
            self.tell_others()
        return relay

    def _own(self, work: Any, name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _first_look(self, relay: Relay) -> None:
        """Rights that were lost between the token's redemption and now were told to nobody: the relay was not there."""
        try:
            ends = await database_sync_to_async(leases.renew_leases)([relay.session_id])
        except Exception as error:
            logger.warning("rights are checked with the next renewal: %s", type(error).__name__)
            return
        for reason in ends.values():
            relay.end(reason)

    async def _live(self, relay: Relay) -> None:
        try:
            await relay.run()
        finally:
            relay.recorder.close()
            self.relays.pop(relay.session_id, None)
            # What was refused once is not tried again.
            self._asks_how_sure &= relay.session.config.asks_how_sure

    def _keep_house(self) -> None:
        if not self._housekeeping:
            self._housekeeping = [
                self._own(self._every(settings.REALTIME_RENEW_EVERY_SEC, self._renew), "lease renewal"),
                self._own(self._every(settings.REALTIME_REAP_EVERY_SEC, self._reap), "reaper"),
                self._own(self._every(FORGET_EVERY_S, self._forget), "used tokens"),
                self._own(self._every(SUM_UP_EVERY_S, self._sum_up), "sums of the past"),
                self._own(neighbours.listen(WORKER, self.check_rights), "other processes"),
            ]

    async def _every(self, pause_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work again and again. A database that refuses costs one round, not the housekeeping."""
        while True:
            await asyncio.sleep(pause_s)
            try:
                await work()
            except Exception as error:
                # The others could not renew their leases either: once the database is back, they go first.
                self._clock.doubt(time.monotonic(), settings.REALTIME_LEASE_SEC)
                logger.warning("housekeeping had to leave out a round: %s", type(error).__name__)

    async def _renew(self) -> None:
        """Renew the leases of the sessions that live here, and end those whose rights are gone."""
        if not self.relays:
            return
        ends = await database_sync_to_async(leases.renew_leases)(list(self.relays))
        for session_id, reason in ends.items():
            if relay := self.relays.get(session_id):
                relay.end(reason)
        used = await database_sync_to_async(budgets.used_percent)(list(self.relays))
        for session_id, percent in used.items():
            if relay := self.relays.get(session_id):
                relay.budget(percent)
        levels = await database_sync_to_async(leases.stored_choices)(list(self.relays))
        for session_id, level in levels.items():
            if relay := self.relays.get(session_id):
                relay.keep(level)

    def check_rights(self) -> None:
        """Somebody's rights changed: look now, not at the next renewal. On the loop's own thread; never waits."""
        if not self._rights_in_doubt and self.relays:
            self._rights_in_doubt = True
            self._own(self._check_rights(), "check of rights")

    def rights_changed(self) -> None:
        """Somebody's rights changed in this process: look here, and have the others look. Never waits."""
        self.check_rights()
        self.tell_others()

    def tell_others(self) -> None:
        """Have the other processes look at their sessions now."""
        if not self.draining:
            self._own(neighbours.tell(WORKER), "word to other processes")

    async def _check_rights(self) -> None:
        self._rights_in_doubt = False  # before the look: a change during it asks for another
        try:
            await self._renew()
        except Exception as error:
            logger.warning("rights are checked with the next renewal: %s", type(error).__name__)

    async def _reap(self) -> None:
        """End the rows that a crash left behind, of any process: the one that crashed may never come back."""
        await self._renew()
        now = (
            timezone.now()
        )  # one moment for the look and for the deed: a clock that is put between them changes nothing
        if not self._clock.look(now.timestamp(), time.monotonic(), settings.REALTIME_LEASE_SEC):
            return  # leases were written by another time than it is now; each process renews its own first
        self._tell_lost(await database_sync_to_async(leases.reap_lost_sessions)(now))

    def _tell_lost(self, lost: int) -> None:
        if lost:
            logger.warning("%d sessions were lost with their process and are ended", lost)

    async def _forget(self) -> None:
        """Spent tokens need to be remembered only as long as somebody could try them again."""
        await database_sync_to_async(leases.forget_used_tokens)()

    async def _sum_up(self) -> None:
        """Sum up what lies behind, for those who look at the admin. In short steps with long pauses: calls go first."""
        try:
            before = 0
            while (left := await database_sync_to_async(past.step)()) and left != before:
                before = left  # what cannot be summed up now waits for the next round
                await asyncio.sleep(PAUSES * past.STEP_S)
        except Exception as error:
            # Not handed on: that these sums are missing says nothing about the leases.
            logger.warning("what lies behind is not summed up for now: %s", type(error).__name__)

    def _storage_stuck(self) -> None:
        """What is said now could not be kept: end every session, and begin none until something is stored again."""
        for relay in list(self.relays.values()):
            # Not at once: a relay is in the middle of handing over the record that did not fit.
            asyncio.get_running_loop().call_soon(relay.end, "storage_stuck")

    def end_user(self, user_id: int, reason: str) -> None:
        """End all sessions of a person on this process."""
        for relay in list(self.relays.values()):
            if relay.user_id == user_id:
                relay.end(reason)

    async def drain(self, sentence_s: float = 10.0, save_s: float = 5.0) -> None:
        """Take nothing new, let sentences finish within a bound, end every session and store what they leave.

        Takes at most `sentence_s` + the larger of `save_s` and HANG_UP_S, and about a second more, whatever peers do.
        """
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
        for task in self._housekeeping:
            task.cancel()
        await asyncio.gather(self._hang_up(), self.journal.flush(save_s))
        await self.recordings.close(1.0)
        await self.journal.close(1.0)

    async def _hang_up(self) -> None:
        """Wait for the relays to close their upstream sockets; a tool or an upstream that hangs is cut off."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=HANG_UP_S)
        for task in late:
            logger.warning("%s did not end in time and was cut off", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=0.5)


async def reserve(session_id: UUID, wish: Reserve) -> Verdict:
    """Ask the budgets for a session. A database that does not answer is no refusal."""
    try:
        return await database_sync_to_async(holds.reserve)(session_id, wish.reference, wish.usd, wish.seconds)
    except Exception as error:
        logger.warning("session %s could not reserve: %s", session_id, type(error).__name__)
        return Verdict.UNKNOWN


_switchboards: WeakKeyDictionary[asyncio.AbstractEventLoop, Switchboard] = WeakKeyDictionary()
_registry = threading.Lock()


def get_switchboard() -> Switchboard:
    """This process's switchboard; each event loop has its own, so that tests do not share one."""
    loop = asyncio.get_running_loop()
    with _registry:
        if loop not in _switchboards:
            _switchboards[loop] = Switchboard(Journal(services.write_entries, settings.REALTIME_SPILL_DIR))
        return _switchboards[loop]


def rights_changed() -> None:
    """Have every switchboard look at once whose sessions must end. From any thread, after the commit.

    Other processes are told through the channel layer; those that do not hear it look with their next renewal.
    """
    with _registry:
        boards = list(_switchboards.items())
    for loop, board in boards:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its sessions with it
            # In a context of its own: in that of a view, asgiref would wait for the thread that the view is on.
            loop.call_soon_threadsafe(board.rights_changed, context=contextvars.Context())
