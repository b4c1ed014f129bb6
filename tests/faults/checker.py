"""What must hold after any fault: nothing acknowledged is lost, nothing is doubled, nothing leaks, nobody else noticed.

Assertions only; causing faults is the tests' work. The numbers I1 to I10 are those of `docs/reliability.md`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core import serializers
from django.db import connection
from django.db.models import Count

from conversations.models import Message
from realtime import leases
from realtime.local.server import LocalServer
from realtime.models import RealtimeSession, SessionEvent, Turn, UsageRecord, UsedToken
from realtime.switchboard import Switchboard
from tests.realtime.page import Page, eventually

SPARE_TASKS, SPARE_FDS = 2, 3
SPARE_THREADS = 1  # the one that writes kept audio begins with the first session that keeps some
POOLS = ("asyncio_", "ThreadPoolExecutor")  # grow up to a bound of their own, for all sessions
CANARY_WITHIN_S = 3.0  # answers take a few ms; the rest is for a machine that does other work
LEAKS = ("Traceback", "never retrieved", "never awaited", "was destroyed but it is pending")


class Checker:
    """Holds the base line of before the fault and compares with it."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        upstream: LocalServer,
        canary: Page,
        records: list[logging.LogRecord],
    ) -> None:
        self.switchboard = switchboard
        self.upstream = upstream
        self.canary = canary
        self.records = records
        self.secrets: set[str] = (
            set()
        )  # must be in no log, in no message to a page and in none of the relay's tables
        self.questions = 0
        self.base_tasks, self.base_fds = 0, 0
        self.base_threads: list[str] = []

    async def note_base_line(self) -> None:
        """Remember what is open when nothing happens."""
        await eventually(lambda: not self._transient_tasks())
        self.base_tasks, self.base_fds = len(asyncio.all_tasks()), open_fds()
        self.base_threads = own_threads()

    def _transient_tasks(self) -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("tool ")]

    async def canary_answers(self) -> None:
        """I9: a session that was open before the fault is answered as ever."""
        self.questions += 1
        text = f"Canary question number {self.questions}"
        async with asyncio.timeout(CANARY_WITHIN_S):
            await self.canary.say("input.text", text=text, client_id=f"canary-{self.questions}")
            own = await self.canary.until("transcript.done", role="user", text=text)
            while True:
                answer = await self.canary.until("transcript.done", role="assistant", status="completed")
                if answer["after"] == own["item_id"]:
                    return

    async def sockets_match_sessions(self) -> None:
        """I4 while people talk: one upstream socket for each live session."""
        await eventually(lambda: self.upstream.open_count == len(self._others()))

    def _others(self) -> list[UUID]:
        canary = UUID(self.canary.minted["session_id"])
        return [session_id for session_id in self.switchboard.relays if session_id != canary]

    async def nothing_is_left_open(self) -> None:
        """I4 and I5 after the last talk: no upstream socket, no relay, no task and no descriptor more than before."""
        await eventually(lambda: not self._others())
        await eventually(lambda: self.upstream.open_count == 0)
        await _at_most(lambda: len(asyncio.all_tasks()), self.base_tasks + SPARE_TASKS, _task_names)
        gc.collect()
        await _at_most(open_fds, self.base_fds + SPARE_FDS, _fd_names)
        await _at_most(lambda: len(own_threads()), len(self.base_threads) + SPARE_THREADS, own_threads)

    async def what_is_stored(self, pages: list[Page]) -> None:
        """I1, I2, I3, I8, I10: the database against what pages were told and what the upstream sent."""
        assert await self.switchboard.journal.flush(15), "the journal did not come to rest"
        await sync_to_async(self._stored)(pages)

    def _stored(self, pages: list[Page]) -> None:
        for page in pages:
            _acked_is_stored(page)
            _order_is_kept(page)
        doubled = Message.objects.values("session_id", "item_id").annotate(n=Count("pk")).filter(n__gt=1)
        assert not doubled.exists(), "I2: an item is stored twice"
        places = Message.objects.values_list("conversation_id", "position")
        assert not [place for place, count in Counter(places).items() if count > 1], (
            "I2: two messages in one place"
        )
        typed = Message.objects.exclude(client_id="").values_list("conversation_id", "client_id")
        assert not [key for key, count in Counter(typed).items() if count > 1], (
            "I2: a typed message is stored twice"
        )
        leases.reap_lost_sessions()
        active = set(RealtimeSession.objects.active().values_list("pk", flat=True))
        assert active <= set(self.switchboard.relays), "I3: a session is active that nobody serves"
        assert not RealtimeSession.objects.filter(ended_at__isnull=False, end_reason="").exists(), (
            "an end without reason"
        )
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA quick_check")
                assert cursor.fetchone() == ("ok",), "I10"
        self._usage_is_complete(pages)

    def _usage_is_complete(self, pages: list[Page]) -> None:
        sent = {
            str(event["response"]["id"]): event["response"].get("usage") or {}
            for upstream_connection in self.upstream.connections
            for event in upstream_connection.sent
            if event["type"] == "response.done"
        }
        pages = [page for page in pages if page is not self.canary]
        mine = {UUID(page.minted["session_id"]) for page in pages}
        rows = UsageRecord.objects.filter(session_id__in=mine, meter="response")
        kept = {row.reference: (row.text_in + row.audio_in, row.text_out + row.audio_out) for row in rows}
        told = {
            m["response_id"] for page in pages for m in page.of("response.done") if m["status"] == "completed"
        }
        assert told <= set(kept), "I8: a completed answer without its usage"
        assert set(kept) <= set(sent), "I8: usage of an answer that was never made"
        counted = {name: (sent[name]["input_tokens"], sent[name]["output_tokens"]) for name in told}
        assert counted == {name: kept[name] for name in told}, "I8: not what the upstream counted"

    async def nothing_is_told(self, pages: list[Page]) -> None:
        """I6 and I7: no broken task in the logs, and nothing secret or said in logs, messages or the relay's tables."""
        gc.collect()
        await asyncio.sleep(0)
        lines = [
            f"{record.getMessage()} {record.exc_text or ''}"
            for record in self.records
            if not record.name.startswith("realtime.local")
        ]
        assert [record for record in self.records if record.name.startswith("realtime.")], (
            "the logs are not seen"
        )
        broken = [
            record
            for record in self.records
            if record.exc_info and not record.name.startswith("realtime.local")
        ]
        assert not broken, f"I6: {[(record.name, record.getMessage(), record.exc_info) for record in broken]}"
        assert not [line for line in lines if any(leak in line for leak in LEAKS)], "I6"
        log = "\n".join(lines)
        said = {
            message["text"] for page in pages for message in page.received if len(message.get("text", "")) > 7
        }
        tokens = {page.minted["token"] for page in pages}
        assert not [secret for secret in self.secrets | said | tokens if secret in log], "I7: in a log line"
        messages = "\n".join(json.dumps(message) for page in pages for message in page.received)
        assert not [secret for secret in self.secrets | tokens if secret in messages], (
            "I7: in a message to a page"
        )
        rows = await sync_to_async(_own_rows)()
        assert not [secret for secret in self.secrets | said | tokens if secret in rows], (
            "I7: in the relay's tables"
        )


def _acked_is_stored(page: Page) -> None:
    """I1: what the page was told is saved, is."""
    for ack in page.of("message.saved"):
        message = Message.objects.filter(pk=ack["message_id"]).first()
        assert message is not None, "I1: acknowledged and not stored"
        assert str(message.conversation_id) == page.minted["conversation_id"]
        if ack["client_id"]:
            assert message.client_id == ack["client_id"]


def _order_is_kept(page: Page) -> None:
    """I2: the order that the page was told is the stored one."""
    stored = dict(
        Message.objects.filter(session_id=page.minted["session_id"]).values_list("item_id", "position")
    )
    for said in page.of("transcript.done"):
        if said["item_id"] in stored and said["after"] in stored:
            assert stored[said["after"]] < stored[said["item_id"]], (
                "I2: the stored order is not the shown one"
            )


def _own_rows() -> str:
    tables = (RealtimeSession, SessionEvent, Turn, UsageRecord, UsedToken)
    return "\n".join(serializers.serialize("json", table.objects.all()) for table in tables)


def open_fds() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def own_threads() -> list[str]:
    """The threads of this process, without those of the pools that are everybody's."""
    return sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith(POOLS))


def _fd_names() -> list[str]:
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(entry.readlink()))
        except OSError:
            continue
    return sorted(names)


def _task_names() -> list[str]:
    return sorted(task.get_name() for task in asyncio.all_tasks())


async def _at_most(measure: Any, most: int, explain: Any) -> None:
    try:
        await eventually(lambda: measure() <= most)
    except TimeoutError:
        raise AssertionError(f"I5: {measure()} are open, at most {most} may be: {explain()}") from None
