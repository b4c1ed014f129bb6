"""The journal: the only way from a live session to the database. A bounded queue, one thread, batches, a spill file.

A record is committed first and reported as saved after. When the database refuses, records wait; when too many wait
or the process ends, they go to the spill file (one JSON line each, fsynced), which is replayed when the database is
back or at the next start. When the disk takes no spill file either, the journal is stuck: it keeps what it has in
memory, and its owner begins nothing new. Writing a record twice changes nothing, so a replay after a crash in the
middle is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from types import MethodType
from typing import Any, get_args
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5
from weakref import WeakMethod

from django.db import InterfaceError, OperationalError, close_old_connections, transaction

from realtime.effects import Record, RecordMessage

logger = logging.getLogger("realtime.journal")
MAX_WAITING = 1_000
SPILL_AGAIN = 100  # so many more records before a spill that failed is tried again
MAX_FILES_TOLD_OF = 20  # of ours that wait: whoever is in older ones hears nothing of it
BATCH = 400
SPILLED, REFUSED = ".jsonl", ".refused"  # the latter is kept for a person to look at, and never replayed
PAUSE_S = 0.1  # between batches: what comes meanwhile shares one transaction
# A busy journal waits longer, so that its thread takes a tenth of the interpreter's time from the talks and no more.
REST, MAX_PAUSE_S = 9, 1.0
RETRY_S = (0.1, 0.2, 0.5, 1.0)
RECORD_TYPES: dict[str, Any] = {kind.__name__: kind for kind in get_args(Record)}


Told = Callable[[str, str, str], None]  # of item, message and stored status


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of one session; `on_saved` is called with item, message and stored status once it is committed.

    `key` is the record's own for good, in the spill file too: what has no other identity is stored once by it.
    """

    session_id: UUID
    conversation_id: UUID | None
    record: Record
    on_saved: Told | None = None
    key: UUID = field(default_factory=uuid4)

    def to_line(self) -> str:
        """One JSON line for the spill file. What a field says by itself is left out, so that the version before, which
        lacks a field and may be the one to read the line during a deployment, loses only what it has no word for."""
        said_anyway = {one.name: one.default for one in fields(self.record) if one.default is not MISSING}
        record = asdict(self.record)
        telling = {name: value for name, value in record.items() if value != said_anyway.get(name, MISSING)}
        return json.dumps(
            {
                "key": str(self.key),
                "session_id": str(self.session_id),
                "conversation_id": str(self.conversation_id) if self.conversation_id else None,
                "kind": type(self.record).__name__,
                "record": telling,
            }
        )

    @classmethod
    def from_line(cls, line: str) -> Entry:
        """The entry of a spill line. Raises ValueError, KeyError or TypeError on a line cut short by a crash."""
        value = json.loads(line)
        conversation = value["conversation_id"]
        return cls(
            UUID(value["session_id"]),
            UUID(conversation) if conversation else None,
            RECORD_TYPES[value["kind"]](**value["record"]),
            key=UUID(value["key"]) if "key" in value else uuid5(NAMESPACE_OID, line),  # of an earlier version
        )


Writer = Callable[[list[Entry]], list[str | None]]


class Journal:
    """One per process. `write` stores a list of entries in one transaction and returns each one's message id."""

    def __init__(self, write: Writer, spill_dir: Path) -> None:
        self.write = write
        self.spill_dir = spill_dir
        self.spilled = 0
        self.stuck = False  # neither the database nor the spill folder takes anything: nothing new may begin
        self.on_stuck: Callable[[], None] = lambda: None
        self._spill_at = MAX_WAITING
        self._waiting: deque[Entry] = deque()
        self._in_flight: list[Entry] = []  # given to the thread: stored or not, nobody knows yet
        self._in_flight_ns = self._spilled_before = 0  # since when, and how much was spilled by then
        self._one_by_one = 0  # so many entries are written alone, to find the one that cannot be stored
        self._replay_due = True
        self._replayed = asyncio.Event()
        # Spill file of ours -> by key, whom to tell. Weakly: a session is not kept in memory for that.
        self._spilled: dict[str, dict[UUID, Callable[[], Told | None]]] = {}
        self._closed = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._hurry = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many records are not stored yet."""
        return len(self._waiting) + len(self._in_flight)

    async def start(self) -> None:
        """Store what earlier processes spilled, without waiting for a first record; returns when that was tried."""
        self._begin()
        await self._replayed.wait()

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="journal")

    def put(self, entry: Entry) -> None:
        """Take a record; never waits. Past the bound the oldest records go to the spill file."""
        if self._closed:
            self._spill_or_lose([entry])
            return
        self._begin()
        if isinstance(entry.record, RecordMessage) and entry.record.status == "pending":
            self._replace_pending(entry)
        self._waiting.append(entry)
        self._hold_bound()
        self._idle.clear()
        self._wake.set()

    def _hold_bound(self) -> None:
        """The oldest records go to the spill file. When the disk is full, memory is what is left, for a while."""
        if len(self._waiting) <= self._spill_at:
            return
        oldest = [self._waiting.popleft() for _ in range(MAX_WAITING // 2)]
        try:
            self._spill(oldest)
        except OSError as error:
            self._waiting.extendleft(reversed(oldest))
            self._spill_at = len(self._waiting) + SPILL_AGAIN
            logger.error("records cannot be spilled: %s", type(error).__name__)
            if not self.stuck:
                self.stuck = True
                self.on_stuck()
        else:
            self._unstuck()

    def _unstuck(self) -> None:
        self.stuck, self._spill_at = False, MAX_WAITING

    def _replace_pending(self, entry: Entry) -> None:
        """A later checkpoint of the same item makes the waiting one needless."""
        for index in range(len(self._waiting) - 1, max(-1, len(self._waiting) - 20), -1):
            old = self._waiting[index]
            same = old.session_id == entry.session_id and isinstance(old.record, RecordMessage)
            if same and old.record.item_id == entry.record.item_id:  # type: ignore[union-attr]
                if old.record.status == "pending":  # type: ignore[union-attr]
                    del self._waiting[index]
                return

    async def _run(self) -> None:
        failures = 0
        await self._try_replay()
        while not (self._closing and not self._waiting):
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            began_s = time.monotonic()
            # What was spilled is older than what waits: stored after it, it would undo it.
            if (not self._replay_due or await self._try_replay()) and await self._store_next():
                failures = 0
            elif self._closing:
                break
            else:
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            if not self._waiting:
                self._idle.set()
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest_s(time.monotonic() - began_s, len(self._waiting))):
                        await self._hurry.wait()
        self._idle.set()

    async def _store_next(self) -> bool:
        """Store one batch and tell of it; False when the database is not to be had now and the batch waits on."""
        size = 1 if self._one_by_one else BATCH
        batch = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        self._in_flight, self._in_flight_ns, self._spilled_before = batch, time.time_ns(), self.spilled
        loop = asyncio.get_running_loop()
        try:
            ids = await loop.run_in_executor(self._thread, self._write_batch, batch)
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database refused %d records: %s", len(batch), type(error).__name__)
            self._take_back(batch)
            return False
        except Exception as error:
            # Not the database but something in this batch: one such record must not hold up all the others.
            if len(batch) == 1:
                logger.error("a record cannot be stored and is put aside: %s", type(error).__name__)
                self._spill_or_lose(batch, REFUSED)  # were it kept, it would hold up all the others
                self._one_by_one = max(0, self._one_by_one - 1)
            else:
                self._take_back(batch)
                self._one_by_one = len(batch)
            return True
        finally:
            self._in_flight = []
        self._one_by_one = max(0, self._one_by_one - 1)
        self._unstuck()
        self._tell((entry, message_id, entry.on_saved) for entry, message_id in zip(batch, ids, strict=True))
        return True

    def _take_back(self, batch: list[Entry]) -> None:
        """It was not stored, and waits on before what is newer: in memory, or where that went meanwhile."""
        if self.spilled > self._spilled_before:
            with contextlib.suppress(OSError):
                self._spill(batch, at_ns=self._in_flight_ns)
                return
        self._waiting.extendleft(reversed(batch))
        self._hold_bound()

    def _tell(self, stored: Iterable[tuple[Entry, str | None, Told | None]]) -> None:
        for entry, message_id, on_saved in stored:
            if on_saved and message_id and isinstance(entry.record, RecordMessage):
                try:
                    on_saved(entry.record.item_id, message_id, entry.record.status)
                except Exception as error:  # of one session; the journal is everybody's
                    logger.error("a page could not be told what is saved: %s", type(error).__name__)

    def _write_batch(self, batch: list[Entry]) -> list[str | None]:
        close_old_connections()
        try:
            with transaction.atomic():
                return self.write(batch)
        finally:
            close_old_connections()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything taken so far is stored; False when that took too long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self, timeout_s: float = 5.0) -> None:
        """Store what waits; what cannot be stored in time goes to the spill file. Never takes much longer than that."""
        self._closing = True
        self._hurry.set()
        self._wake.set()
        stuck = False
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=timeout_s)
            stuck = bool(late)
        self._closed = True
        # A batch that the thread still works on is spilled too: it may be refused after all, and twice does no harm.
        left = [*self._in_flight, *self._waiting]
        if self._in_flight and self.spilled > self._spilled_before:
            self._spill_or_lose(self._in_flight, at_ns=self._in_flight_ns)
            left = list(self._waiting)
        self._waiting.clear()
        if left:
            self._spill_or_lose(left)
        if self._task is not None and stuck:
            self._task.cancel()
        if not stuck:
            await asyncio.get_running_loop().run_in_executor(self._thread, _close_connections)
        self._thread.shutdown(wait=not stuck, cancel_futures=True)

    # ---- the spill file -----------------------------------------------------------------------------------
    # The kernel's lock on a file says that a living process works on it; it goes with the process, however that ends.

    def _spill(self, entries: list[Entry], suffix: str = SPILLED, at_ns: int | None = None) -> None:
        """`at_ns`: when they were the newest, if that is not now. Files are replayed in that order."""
        self.spill_dir.mkdir(parents=True, exist_ok=True)
        path = self.spill_dir / f"{at_ns or time.time_ns()}-{os.getpid()}-{uuid4().hex[:8]}{suffix}"
        try:
            with path.open("x", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.writelines(entry.to_line() + "\n" for entry in entries)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)  # no half of it: the caller still has the whole
            raise
        folder = os.open(self.spill_dir, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's name is kept too, not only its content
        finally:
            os.close(folder)
        if suffix == SPILLED:
            self._spilled[path.name] = {e.key: _weakly(e.on_saved) for e in entries if e.on_saved}
            while len(self._spilled) > MAX_FILES_TOLD_OF:
                del self._spilled[next(iter(self._spilled))]
        self.spilled += len(entries)
        self._replay_due = self._replay_due or suffix == SPILLED
        logger.warning("%d records went to the spill file", len(entries))

    def _spill_or_lose(self, entries: list[Entry], suffix: str = SPILLED, at_ns: int | None = None) -> None:
        """For records that cannot go back into memory."""
        try:
            self._spill(entries, suffix, at_ns)
        except OSError as error:
            logger.critical(
                "%d records are lost, they cannot be spilled: %s", len(entries), type(error).__name__
            )

    async def _try_replay(self) -> bool:
        """Store what was spilled; False when the database is not to be had now."""
        self._replay_due = False  # what is spilled from now on sets it again
        stored: list[tuple[str, list[Entry], list[str | None]]] = []
        try:
            if not await asyncio.get_running_loop().run_in_executor(self._thread, self._replay, stored):
                self._replay_due = True
                return False
        except Exception as error:
            self._replay_due = True
            logger.error("spilled records could not be stored: %s", type(error).__name__)
        finally:
            for name, entries, ids in stored:
                told = self._spilled.pop(name, {})
                whom = [told[entry.key]() if entry.key in told else None for entry in entries]
                self._tell(zip(entries, ids, whom, strict=True))
            self._replayed.set()
        return True

    def _replay(self, stored: list[tuple[str, list[Entry], list[str | None]]]) -> bool:
        """Store what was spilled, oldest first; False when it cannot be done now. A file goes after its commit."""
        for path in sorted(self.spill_dir.glob(f"*{SPILLED}")):
            try:
                file = path.open(encoding="utf-8")
            except FileNotFoundError:
                continue  # another process has stored it
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # another process writes or replays it
                    if path.name in self._spilled:
                        return False  # what waits here is newer, and comes after it
                    continue
                text = file.read()
                if not text or not os.fstat(file.fileno()).st_nlink:
                    continue  # just made: what belongs in it is on its way; or stored since it was opened
                entries = _entries(text)
                try:
                    ids = self._write_spilled(entries)
                except (OperationalError, InterfaceError):
                    return False
                path.unlink(missing_ok=True)
                stored.append((path.name, entries, ids))
        return True

    def _write_spilled(self, entries: list[Entry]) -> list[str | None]:
        """All at once; where one of them cannot be stored, each alone, and that one is put aside."""
        try:
            return self._write_batch(entries)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.error("spilled records cannot be stored at once: %s", type(error).__name__)
        ids: list[str | None] = []
        for entry in entries:
            try:
                ids += self._write_batch([entry])
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                logger.error("a spilled record is put aside: %s", type(error).__name__)
                self._spill([entry], REFUSED)
                ids.append(None)
        return ids


def rest_s(took_s: float, waiting: int) -> float:
    """The pause after a batch that took so long, while so many records wait: short when they are a backlog."""
    return PAUSE_S if waiting >= BATCH else max(PAUSE_S, min(REST * took_s, MAX_PAUSE_S))


def _entries(text: str) -> list[Entry]:
    """The entries of a spill file. A line that a crash cut short costs only itself."""
    entries = []
    for line in text.splitlines():
        try:
            entries.append(Entry.from_line(line))
        except (ValueError, KeyError, TypeError):
            logger.warning("a spilled record could not be read")
    return entries


def _weakly(told: Told) -> Callable[[], Told | None]:
    """Gives whom to tell, as long as that is there."""
    return WeakMethod(told) if isinstance(told, MethodType) else lambda: told


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()
