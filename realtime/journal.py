"""The journal: the only way from a live session to the database. A bounded queue, one thread, batches, a spill file.

A record is committed first and reported as saved after. When the database refuses, records wait; when too many wait
or the process ends, they go to the spill file (one JSON line each, fsynced), which is replayed at the next start.
Writing a record twice changes nothing, so a replay after a crash in the middle is harmless.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.db import DatabaseError, close_old_connections, transaction

from realtime import effects
from realtime.effects import Record, RecordMessage

logger = logging.getLogger("realtime.journal")
MAX_WAITING = 1_000
BATCH = 100
PAUSE_S = 0.1  # between batches: what comes meanwhile shares one transaction
RETRY_S = (0.1, 0.2, 0.5, 1.0)
RECORD_TYPES = {
    kind.__name__: kind
    for kind in (
        effects.RecordMessage,
        effects.RecordEvent,
        effects.RecordTurn,
        effects.RecordUsage,
        effects.RecordEnd,
    )
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of one session; `on_saved` is called with the message's id once it is committed."""

    session_id: UUID
    conversation_id: UUID | None
    record: Record
    on_saved: Callable[[str, str], None] | None = None

    def to_line(self) -> str:
        """One JSON line for the spill file."""
        return json.dumps(
            {
                "session_id": str(self.session_id),
                "conversation_id": str(self.conversation_id) if self.conversation_id else None,
                "kind": type(self.record).__name__,
                "record": asdict(self.record),
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
        )


Writer = Callable[[list[Entry]], list[str | None]]


class Journal:
    """One per process. `write` stores a list of entries in one transaction and returns each one's message id."""

    def __init__(self, write: Writer, spill_dir: Path) -> None:
        self.write = write
        self.spill_dir = spill_dir
        self.spilled = 0
        self._waiting: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._task: asyncio.Task[None] | None = None

    def put(self, entry: Entry) -> None:
        """Take a record; never waits. Past the bound the oldest records go to the spill file."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="journal")
        if isinstance(entry.record, RecordMessage) and entry.record.status == "pending":
            self._replace_pending(entry)
        self._waiting.append(entry)
        if len(self._waiting) > MAX_WAITING:
            self._spill([self._waiting.popleft() for _ in range(MAX_WAITING // 2)])
        self._idle.clear()
        self._wake.set()

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
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._replay)
        failures = 0
        while not (self._closing and not self._waiting):
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                ids = await loop.run_in_executor(self._thread, self._write_batch, batch)
            except DatabaseError as error:
                self._waiting.extendleft(reversed(batch))
                logger.warning("the database refused %d records: %s", len(batch), type(error).__name__)
                if self._closing:
                    break
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            failures = 0
            for entry, message_id in zip(batch, ids, strict=True):
                if entry.on_saved and message_id and isinstance(entry.record, RecordMessage):
                    entry.on_saved(entry.record.item_id, message_id)
            if not self._waiting:
                self._idle.set()
            if not self._closing:
                await asyncio.sleep(PAUSE_S)
        self._idle.set()

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
        """Store what waits; what cannot be stored in time goes to the spill file."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._task
            except TimeoutError:
                pass
        if self._waiting:
            self._spill(list(self._waiting))
            self._waiting.clear()
        await asyncio.get_running_loop().run_in_executor(self._thread, _close_connections)
        self._thread.shutdown(wait=True)

    def _spill(self, entries: list[Entry]) -> None:
        self.spill_dir.mkdir(parents=True, exist_ok=True)
        self.spilled += len(entries)
        path = self.spill_dir / f"{os.getpid()}-{uuid4().hex}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(entry.to_line() + "\n" for entry in entries)
            file.flush()
            os.fsync(file.fileno())
        logger.warning("%d records went to the spill file", len(entries))

    def _replay(self) -> None:
        """Store what earlier processes spilled. A file is removed only after its records are committed."""
        for path in sorted(self.spill_dir.glob("*.jsonl"), key=lambda found: found.stat().st_mtime):
            taken = path.with_suffix(".taken")
            try:
                path.rename(taken)  # one process replays it, whoever renames first
            except FileNotFoundError:
                continue
            entries = []
            for line in taken.read_text(encoding="utf-8").splitlines():
                try:
                    entries.append(Entry.from_line(line))
                except (ValueError, KeyError, TypeError):
                    logger.warning("a spilled record could not be read")
            try:
                self._write_batch(entries)
            except DatabaseError:
                taken.rename(path)
                return
            taken.unlink()


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()


def entry_facts(entry: Entry) -> dict[str, Any]:
    """The record's fields, as keyword arguments for a service."""
    return asdict(entry.record)
