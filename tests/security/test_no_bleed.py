"""Two hundred people at once: each hears and reads only what was made for them, and so do the stored rows."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosed

from conversations.models import Message
from realtime.conf import RelayConfig
from realtime.upstream import UpstreamLink
from tests.realtime.page import Page, eventually

PEOPLE = 200
SAMPLES = 2_400


def marker(word: str) -> bytes:
    """A tenth of a second of PCM16 that belongs to one word."""
    return (hashlib.sha256(word.encode()).digest() * (SAMPLES * 2 // 32))[: SAMPLES * 2]


class Echo:
    """An upstream at the relay's own door: answers each message with its own words, and with their marker as speech."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said = ""
        self.count = 0

    try_send = None

    async def send(self, text: bytes) -> None:
        event = json.loads(text)
        if event["type"] == "session.update":
            self.events.put_nowait({"type": "session.updated"})
        elif event["type"] == "conversation.item.create":
            self.said = event["item"]["content"][0]["text"]
        elif event["type"] == "response.create":
            self.answer()

    def answer(self) -> None:
        self.count += 1
        response, item = f"r{self.count}", f"i{self.count}"  # the same names for everybody, on purpose
        where = {"response_id": response, "item_id": item}
        pcm = base64.b64encode(marker(self.said)).decode()
        for event in (
            {"type": "response.created", "response": {"id": response}},
            {"type": "response.output_audio_transcript.delta", **where, "delta": f"You said {self.said}"},
            {"type": "response.output_audio.delta", **where, "delta": pcm},
            {"type": "response.output_audio.done", **where},
            {"type": "response.done", "response": {"id": response, "status": "completed", "usage": None}},
        ):
            self.events.put_nowait(event)

    async def read(self, take: Callable[[bytes], bool | None]) -> None:
        while not take(json.dumps(await self.events.get()).encode()):
            pass

    async def close(self) -> None:
        """Nothing is open."""


@contextlib.asynccontextmanager
async def dial(_config: RelayConfig) -> AsyncIterator[UpstreamLink]:
    yield Echo()


def words(number: int) -> list[str]:
    return [f"word-{number}-{turn}-end" for turn in range(2)]


class Meeting:
    """Lets a few people in at a time, and tells when all are there."""

    def __init__(self, people: int) -> None:
        self.door = asyncio.Semaphore(8)
        self.missing = people
        self.complete = asyncio.Event()

    async def wait(self, page: Page) -> None:
        """Until everybody is there; the page says that it lives."""
        self.missing -= 1
        if not self.missing:
            self.complete.set()
        while not self.complete.is_set():
            await page.say("ping", t=1)
            await page.until("pong")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.complete.wait(), 2)


async def talk(page: Page, number: int, meeting: Meeting) -> str:
    """Two questions, the second when everybody has asked one; everything that came, as text."""
    async with meeting.door:
        await page.connect()
    async with page:
        for turn, word in enumerate(words(number)):
            await page.say("input.text", text=word, client_id=f"c{turn}")
            await page.until("audio.end", item_id=f"i{turn + 1}")
            if turn == 0:
                await meeting.wait(page)
        await page.say("session.end")
        with contextlib.suppress(ConnectionClosed):
            while True:
                await page.next()
    return json.dumps(page.received)


@pytest.mark.long
@pytest.mark.timeout(400)  # some seconds alone; on a busy machine many times that
async def test_two_hundred_at_once_get_only_their_own(make_site: Any, settings: Any) -> None:
    settings.REALTIME_MAX_SESSIONS = 1_000
    site = await make_site()
    site.switchboard.dial = dial
    people = [await User.objects.acreate(username=f"person{number}") for number in range(PEOPLE)]
    pages = [await site.page(person) for person in people]
    meeting = Meeting(PEOPLE)
    seen = await asyncio.gather(*(talk(page, number, meeting) for number, page in enumerate(pages)))
    for number, (page, text) in enumerate(zip(pages, seen, strict=True)):
        assert set(page.audio) == {"i1", "i2"}
        for turn, word in enumerate(words(number)):
            assert bytes(page.audio[f"i{turn + 1}"]) == marker(word)
            assert f"You said {word}" in text
        assert text.count("-end") == text.count(f"word-{number}-")
    await eventually(lambda: not site.switchboard.relays)
    async with asyncio.timeout(200):  # what a busy machine put into the spill file is stored too
        while await Message.objects.acount() < PEOPLE * 4:
            await site.switchboard.journal.flush(5)
            await asyncio.sleep(0.1)
    rows = await sync_to_async(list)(Message.objects.values_list("conversation__owner__username", "text"))
    assert len(rows) == PEOPLE * 4
    assert all(f"word-{owner.removeprefix('person')}-" in text for owner, text in rows)
