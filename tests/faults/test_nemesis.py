"""Faults at random, one upon the other, while people talk: F41. What holds after one fault holds after all of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from websockets.exceptions import ConnectionClosed, InvalidMessage

from realtime import breaker
from tests.faults.conftest import StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import QUESTION, Stage
from tests.faults.test_database import locked
from tests.realtime.page import Page

TALK = [
    {"hears": "Tell me a story.", "says": "Once upon a time there was a relay.", "audio_ms": 2_500},
    {"hears": "And then what?", "says": "Then it was told again.", "audio_ms": 400},
    {"hears": "What?", "heard_at": "after", "says": "Told again.", "audio_ms": 900},
]
PEOPLE = 3
ANSWER_WITHIN_S = 1.5  # then the person says the next thing, whatever became of the last
GONE = (ConnectionClosed, InvalidMessage, OSError, EOFError)


class Person:
    """Somebody who goes on talking, and comes back whenever the connection is gone."""

    def __init__(self, s: Stage, user: User, chance: random.Random) -> None:
        self.s, self.user, self.chance = s, user, chance
        self.said = 0
        self.page: Page | None = None

    async def come_back(self) -> Page:
        """The same session when there still is one, else the next of the same conversation."""
        old = self.page
        if old is not None and old._socket is not None:
            await old.cut()
        minted = await self.s.mint(
            self.user, **({"resume_session_id": old.minted["session_id"]} if old else {})
        )
        if old is not None and minted["session_id"] == old.minted["session_id"]:
            old.minted = minted
            page = old
        else:
            page = Page(minted)
            self.s.pages.append(page)
        self.page = page
        item_id = next(reversed(page.audio), None)
        mark = {"item_id": item_id, "samples": len(page.audio[item_id]) // 2} if item_id else None
        await page.connect(played=mark, received=mark)
        return page

    async def say(self, page: Page) -> str:
        """Type something that was never said before."""
        self.said += 1
        text = f"{self.user.username} says number {self.said}"
        await page.say("input.text", text=text, client_id=f"{self.user.username}-{self.said}")
        return text

    async def talk(self, over: asyncio.Event) -> None:
        """Until it is over."""
        while not over.is_set():
            with contextlib.suppress(*GONE):
                page = await self.come_back()
                while not over.is_set():
                    if self.chance.random() < 0.4:
                        await page.speak(QUESTION)
                    else:
                        await self.say(page)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(ANSWER_WITHIN_S):
                            await page.until("response.done")

    async def is_answered(self) -> None:
        """When all is well again, the talk goes on as if nothing had been."""
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(*GONE):
                    page = await self.come_back()
                    text = await self.say(page)
                    own = await page.until("transcript.done", role="user", text=text)
                    await page.until("transcript.done", role="assistant", after=own["item_id"])
                    return


class Nemesis:
    """Does one thing after the other to them."""

    def __init__(self, s: Stage, chance: random.Random, database: str) -> None:
        self.s, self.chance, self.database = s, chance, database

    async def strike(self) -> None:
        """One fault, and a moment."""
        faults: list[Callable[[], Awaitable[None] | None]] = [
            self.s.wifi.reset_peers,
            self.s.wifi.close_peers,
            self.s.cable.reset_peers,
            self.s.cable.close_peers,
            self._dead_air,
            self._bad_air,
            self._locked_database,
            lambda: self._upstream({"name": "drop", "at": "response.output_audio.delta", "times": 1}),
            lambda: self._upstream({"name": "drop", "code": 1011, "at": "response.created", "times": 1}),
            lambda: self._upstream({"name": "refuse", "status": 503, "times": 1}),
            lambda: self._upstream({"name": "malformed", "at": "response.created", "times": 1}),
        ]
        if (work := self.chance.choice(faults)()) is not None:
            await work
        await self._moment()

    async def _moment(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.4))  # the point of the test: any moment will do

    def _upstream(self, fault: dict[str, Any]) -> None:
        self.s.upstream.faults = [fault]

    async def _dead_air(self) -> None:
        self.s.wifi.stall()
        await self._moment()
        self.s.wifi.reset_peers()
        self.s.wifi.heal()

    async def _bad_air(self) -> None:
        for toxics in (self.s.wifi.back, self.s.cable.back):
            toxics.latency_ms, toxics.jitter_ms = 30, 60
        await self._moment()
        self.s.wifi.heal()
        self.s.cable.heal()

    async def _locked_database(self) -> None:
        if connection.vendor == "sqlite":
            with locked(self.database):
                await self._moment()


async def survive(stage: StageMaker, monkeypatch: pytest.MonkeyPatch, *, seed: int, strikes: int) -> None:
    monkeypatch.setattr(breaker, "FAILURES", 1_000_000)  # it has tests of its own, and would keep all out
    chance = random.Random(seed)
    make = sync_to_async(User.objects.create_user)
    database = str(connection.settings_dict["NAME"])
    async with stage(TALK, timers={"responses_per_minute": 1_000_000}) as s:  # they talk faster than people
        people = [
            Person(s, await make(f"person{n}", password="x-secret-1815"), chance) for n in range(PEOPLE)
        ]
        nemesis, over = Nemesis(s, chance, database), asyncio.Event()
        talks = [asyncio.create_task(person.talk(over), name="a talk") for person in people]
        try:
            for _ in range(strikes):
                await nemesis.strike()
        finally:
            over.set()
            s.upstream.faults = []
            s.cable.heal()
            s.wifi.heal()
            await asyncio.gather(*talks)
        for person in people:
            await person.is_answered()


@pytest.mark.long  # half a minute for each
@taking_turns("seed", [1, 2])
async def test_thirty_faults_at_random_leave_everything_in_order(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    await survive(stage, monkeypatch, seed=seed, strikes=30)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@taking_turns("seed", list(range(11, 21)))
async def test_a_thousand_faults_at_random_leave_everything_in_order(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    await survive(stage, monkeypatch, seed=seed, strikes=1_000)
