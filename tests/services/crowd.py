"""Many pages at once, each on a socket of its own: they talk in turns, lose their connection, come back. No checks.

A visitor does what the page does (static/voice/socket.js, retry.js): full jitter, a new token for each try, typed text
again until it is stored. It writes down what it was told, for a test to compare with what is kept.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from tests.services.site import Site

BASE_S, CAP_S = 0.5, 30.0
AT_THE_DOOR = 8  # visitors that come in at once
ARRIVAL_S = 120.0
TURNS_A_SECOND = 6.0  # of all visitors together: the more there are, the longer each thinks
PING_EVERY_S = 5.0
FRAME = bytes(9_600)  # 200 ms of silence
FINAL = ("completed", "interrupted")


@dataclass
class Visitor:
    """One page. `turns` grows with every answer that was heard to its end."""

    site: Site
    number: int
    rng: random.Random
    speaks: bool = False  # streams its microphone as well
    pause_s: float = 5.0  # between two turns, on average
    turns: int = 0
    connections: int = 0
    closes: Counter[int] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    saved: dict[str, str] = field(default_factory=dict)  # message id -> item id
    finals: dict[tuple[str, str], str] = field(default_factory=dict)  # (session, item) -> text of an answer
    asked: list[str] = field(default_factory=list)  # client ids of what was typed
    answered: list[str] = field(default_factory=list)  # those of which the answer was heard to its end
    unsaved: dict[str, str] = field(default_factory=dict)  # client id -> text, until it is stored
    conversation_id: str | None = None
    session_id: str | None = None
    leaving: bool = False

    def __post_init__(self) -> None:
        self._socket: ClientConnection | None = None
        self.ready = asyncio.Event()
        self._answered = asyncio.Event()
        self._item = ""
        self._heard: Counter[str] = Counter()
        self._samples_sent = 0
        # As many addresses as a crowd has: the proxy limits each.
        self.address = f"127.0.1.{1 + self.number // 8}"

    @property
    def bearer(self) -> str:
        """Four visitors are one person."""
        return self.site.bearers[self.number % len(self.site.bearers)]

    async def visit(self) -> None:
        """Stay connected until told to leave."""
        attempt = 0
        while not self.leaving:
            self.ready.clear()
            try:
                await self._connect_once()
                attempt = 0
            except InvalidStatus as error:
                self.refusals[f"socket {error.response.status_code}"] += 1
            except (OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError) as error:
                self.refusals[type(error).__name__] += 1
            except Refusal as refusal:
                self.refusals[refusal.code] += 1
            if self.leaving:
                return
            attempt += 1
            await asyncio.sleep(self.rng.random() * min(CAP_S, BASE_S * 2 ** min(attempt - 1, 6)))

    async def _connect_once(self) -> None:
        body = {"conversation_id": self.conversation_id, "resume_session_id": self.session_id}
        status, answer = await asyncio.to_thread(
            self.site.api, "POST", "/api/voice/realtime-session", self.bearer, body, self.address
        )
        if status != 200:
            raise Refusal(str(answer.get("code", f"mint {status}")))
        if answer["session_id"] != self.session_id:
            self._samples_sent = 0
        self.session_id, self.conversation_id = answer["session_id"], answer["conversation_id"]
        async with connect(
            answer["url"],
            subprotocols=["voice.v1", f"t.{answer['token']}"],
            ssl=self.site.nginx.trust,
            compression=None,
            max_size=None,
            open_timeout=30,
            ping_interval=None,
            local_addr=(self.address, 0),
        ) as socket:
            self._socket = socket
            self.connections += 1
            await self._say("hello", played=None, received=None, uplink_samples=self._samples_sent, client={})
            async with asyncio.TaskGroup() as group:
                others = [group.create_task(self._ping())]
                if self.speaks:
                    others.append(group.create_task(self._speak()))
                try:
                    async for raw in socket:
                        await self._hear(raw)
                except ConnectionClosed:
                    pass
                finally:
                    for task in others:
                        task.cancel()
            self.closes[socket.close_code or 0] += 1

    async def _say(self, kind: str, **fields: Any) -> None:
        assert self._socket is not None
        try:
            await self._socket.send(json.dumps({"type": kind, **fields}))
        except ConnectionClosed:
            pass  # the reader notices

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await self._say("ping", t=1)

    async def _speak(self) -> None:
        await self.ready.wait()
        assert self._socket is not None
        while True:
            await asyncio.sleep(len(FRAME) / 48_000)
            self._samples_sent += len(FRAME) // 2
            try:
                await self._socket.send(FRAME)
            except ConnectionClosed:
                return

    async def _hear(self, raw: str | bytes) -> None:
        if isinstance(raw, bytes):
            self._heard[self._item] += len(raw) // 2
            return
        message = json.loads(raw)
        match message["type"]:
            case "ready":
                self.ready.set()
                for client_id, text in self.unsaved.items():
                    await self._say("input.text", text=text, client_id=client_id)
            case "audio.begin":
                self._item = message["item_id"]
                self._heard[self._item] = message["offset_samples"]
            case "audio.end":
                item_id = message["item_id"]
                await self._say(
                    "playout.position", item_id=item_id, samples=self._heard[item_id], buffered_ms=0
                )
                self._answered.set()
            case "audio.clear":
                item_id = message["item_id"]
                await self._say("playout.cleared", item_id=item_id, samples=self._heard[item_id])
            case "transcript.done" if message["role"] == "assistant" and message["status"] in FINAL:
                assert self.session_id is not None
                self.finals[self.session_id, message["item_id"]] = message["text"]
            case "message.saved":
                self.saved[message["message_id"]] = message["item_id"]
                if message.get("client_id") and message.get("status") == "completed":
                    self.unsaved.pop(message["client_id"], None)

    async def talk(self) -> None:
        """Type, hear the answer, pause, again."""
        while not self.leaving:
            await self.ready.wait()
            client_id, text = uuid4().hex, f"Question {len(self.asked)} of visitor {self.number}."
            self._answered.clear()
            self.asked.append(client_id)
            self.unsaved[client_id] = text
            asked_in = self.session_id
            await self._say("input.text", text=text, client_id=client_id)
            while not self._answered.is_set():
                try:
                    async with asyncio.timeout(20):
                        await self._answered.wait()
                except TimeoutError:
                    if self.leaving or not self.ready.is_set():
                        continue
                    if self.session_id == asked_in:
                        # The answer was cut off, and the page was told so: a person says something else.
                        self.refusals["asked anew"] += 1
                        break
                    # The answer was lost with its process after the question was stored: the page offers "Try again".
                    self.refusals["asked again"] += 1
                    asked_in = self.session_id
                    await self._say("input.text", text=text, client_id=client_id)
            else:
                self.answered.append(client_id)
                self.turns += 1
            await asyncio.sleep(self.pause_s * self.rng.uniform(0.6, 1.4))

    @property
    def arriving(self) -> bool:
        """Whether it has not been let in yet, for the first time."""
        return self.turns == 0

    async def leave(self) -> None:
        """End the session."""
        self.leaving = True
        await self._say("session.end")


async def all_leave(visitors: list[Visitor], visits: list[asyncio.Task[None]]) -> None:
    """End the sessions of those who are in one, and every visit."""
    for visitor in visitors:
        if visitor.ready.is_set():
            await visitor.leave()
        visitor.leaving = True
    for visit in visits:
        visit.cancel()
    await asyncio.gather(*visits, return_exceptions=True)


class Refusal(Exception):
    """The mint said no; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Crowd:
    """`async with Crowd(site, 200) as crowd:` they arrive a few at a time, as fast as they are let in, and stay."""

    def __init__(self, site: Site, size: int, *, speaking: int = 0, seed: int = 1) -> None:
        rng = random.Random(seed)
        self.site = site
        self.visitors = [
            Visitor(
                site,
                number,
                random.Random(rng.random()),
                speaks=number < speaking,
                pause_s=size / TURNS_A_SECOND,
            )
            for number in range(size)
        ]

    async def __aenter__(self) -> Crowd:
        self._tasks = []
        for visitor in self.visitors:
            self._tasks += [asyncio.create_task(visitor.visit()), asyncio.create_task(visitor.talk())]
            async with asyncio.timeout(ARRIVAL_S):
                while sum(v.arriving for v in self.visitors[: visitor.number + 1]) >= AT_THE_DOOR:
                    self._raise_what_broke()
                    await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def everybody_has_turns(self, more: int, within_s: float) -> None:
        """Wait until each visitor has had so many more answers. Raises with the numbers of those that have not."""
        goals = {visitor.number: visitor.turns + more for visitor in self.visitors}
        await self.until(lambda v: v.turns >= goals[v.number], within_s)

    async def until(self, done: Any, within_s: float) -> None:
        """Wait until this is true of every visitor."""
        try:
            async with asyncio.timeout(within_s):
                while not all(done(visitor) for visitor in self.visitors):
                    self._raise_what_broke()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            late = [v for v in self.visitors if not done(v)]
            raise AssertionError(
                f"{len(late)} of {len(self.visitors)} are not there after {within_s} s: "
                f"{[(v.number, v.turns, dict(v.closes), dict(v.refusals)) for v in late[:5]]}"
            ) from None

    def _raise_what_broke(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception():
                raise task.exception()

    @property
    def refusals(self) -> Counter[str]:
        """What went wrong for all of them so far, by name."""
        return sum((visitor.refusals for visitor in self.visitors), Counter())

    @property
    def connections(self) -> int:
        """Sockets opened so far."""
        return sum(visitor.connections for visitor in self.visitors)
