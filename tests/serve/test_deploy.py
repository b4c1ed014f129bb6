"""A deploy while people talk (F39): tables change under the old version, then each process is replaced in turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.realtime.page import Page, silence, tone
from tests.serve.site_process import Rows, SiteProcess, manage

NEXT = {"MORE_APPS": ["tests.serve.next_version"]}
ANSWER = [{"hears": "Well?", "says": "Well, well.", "audio_ms": 200}]
SETTINGS = {"REALTIME_LEASE_SEC": 30, "REALTIME_MAX_RESPONSES_PER_MIN": 1_000}
WITHIN_S = 120.0  # a machine that does other work starts a process in half a minute
THINKS_S = 1.0
TYPING, SPEAKING = 1, 1  # people on each process
QUESTION = tone(300) + silence(700)


async def becomes_true(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not found():  # noqa: ASYNC110 - anything can be asked, so nothing can tell
            await asyncio.sleep(0.02)


@dataclass
class Street:
    """The processes that take people now: what a proxy before them knows."""

    open: list[SiteProcess] = field(default_factory=list)


@dataclass
class Person:
    """Talks in one conversation without end; comes back wherever a process is open when the connection is closed."""

    street: Street
    bearer: str
    name: str
    speaks: bool
    home: int
    conversation_id: str = ""
    answers: int = 0
    pages: list[Page] = field(default_factory=list)
    leaving: bool = False
    asked: int = 0

    async def talk(self) -> None:
        while not self.leaving:
            site = self.street.open[self.home % len(self.street.open)]
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, ConnectionError):
                page = Page(await asyncio.to_thread(self.mint, site))
                self.pages.append(page)
                await page.connect()
                await page.until("state", state="listening")
                while not self.leaving:
                    await self.ask(page)
                    await asyncio.sleep(THINKS_S)  # the limits know that people are not faster
                await page.say("session.end")
                await page.until_closed()

    def mint(self, site: SiteProcess) -> dict[str, Any]:
        """As a page does. An answer of 400 or more is an error of the test; no answer is a process that is gone."""
        if not self.conversation_id:
            self.conversation_id = site.post("/api/conversations/", {}, self.bearer)["id"]
        wish = {"conversation_id": self.conversation_id, "modality": "voice" if self.speaks else "text"}
        return site.post("/api/voice/realtime-session", wish, self.bearer)

    async def ask(self, page: Page) -> None:
        self.asked += 1
        if self.speaks:
            await page.speak(QUESTION)
        else:
            text = f"{self.name} asks {self.asked}"
            await page.say("input.text", text=text, client_id=text)
        done = await page.until("response.done")
        assert done["status"] == "completed"
        self.answers += 1

    def finals(self) -> set[str]:
        """The items that some page showed as final."""
        return {
            m["item_id"] for p in self.pages for m in p.of("transcript.done") if m["status"] == "completed"
        }

    def acknowledged(self) -> set[str]:
        """The messages that some page was told are saved."""
        return {m["message_id"] for p in self.pages for m in p.of("message.saved")}


@contextlib.asynccontextmanager
async def started(site: SiteProcess) -> AsyncIterator[SiteProcess]:
    await asyncio.to_thread(site.__enter__)
    try:
        yield site
    finally:
        await asyncio.to_thread(site.__exit__)


def all_messages(site: SiteProcess, conversation_id: str, bearer: str) -> set[str]:
    """The ids of all messages of a conversation, as the site shows them page by page."""
    found: set[str] = set()
    before = ""
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{site.port}/api/conversations/{conversation_id}/messages/{before}",
            headers={"Authorization": f"Bearer {bearer}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            told = json.load(answer)
        found |= {message["id"] for message in told["results"]}
        if told["before"] is None:
            return found
        before = f"?before={told['before']}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", ["uvicorn", pytest.param("daphne", marks=pytest.mark.long)])
async def test_a_deploy_with_a_migration_loses_nothing_and_turns_nobody_away(
    folder: Path, server: str, make_upstream: Any
) -> None:
    upstream = await make_upstream(ANSWER, record=False, max_sessions=100)
    rows, street = Rows(folder), Street()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            old = SiteProcess(folder, server, upstream.url, **SETTINGS)
            street.open.append(await stack.enter_async_context(started(old)))
        before = list(street.open)
        bearer = await asyncio.to_thread(before[0].log_in)
        people = [
            Person(street, bearer, f"{home}-{n}", speaks=n >= TYPING, home=home)
            for home in range(2)
            for n in range(TYPING + SPEAKING)
        ]
        talks = asyncio.gather(*(person.talk() for person in people))
        stack.callback(talks.cancel)

        async def everybody_is_answered() -> None:
            seen = [person.answers for person in people]
            await becomes_true(
                lambda: talks.done() or all(p.answers > n for p, n in zip(people, seen, strict=True))
            )
            if talks.done():
                await talks  # somebody met an error

        await everybody_is_answered()
        done = await asyncio.to_thread(manage, folder, "migrate", "--no-input", **NEXT)
        assert done.returncode == 0, done.stdout + done.stderr
        await everybody_is_answered()  # by the version before, on the new tables
        for _ in range(2):
            leaving = street.open.pop(0)
            assert await asyncio.to_thread(leaving.ended_after, leaving.signal()) < 20
            assert leaving.process.returncode == 0, leaving.output
            new = SiteProcess(folder, server, upstream.url, **SETTINGS, **NEXT)
            street.open.append(await stack.enter_async_context(started(new)))
            await everybody_is_answered()
        for person in people:
            person.leaving = True
        await talks

        for person in people:
            read_again = await asyncio.to_thread(all_messages, street.open[0], person.conversation_id, bearer)
            assert person.acknowledged() <= read_again
        after = list(street.open)
        for site in after:
            assert await asyncio.to_thread(site.ended_after, site.signal()) < 20
        for site in before + after:
            assert "Traceback" not in site.output, site.output
            assert " 500 " not in site.output, site.output
    for person in people:
        assert person.finals() <= {item for (item,) in rows.read("select item_id from conversations_message")}
    assert rows.read("select distinct next_kind from conversations_message") == [("plain",)]
    assert set(rows.end_reasons()) <= {"draining", "person_ended"}
    assert rows.active() == 0
    assert "pending" not in rows.statuses()
    assert rows.is_sound()
