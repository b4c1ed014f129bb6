"""The page of a person, as tests drive it: connects, speaks, reads, reports what it plays. Asserts nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConcurrencyError, ConnectionClosed

DEADLINE_S = 15.0
FRAME_BYTES = 1_920
CAPTURED_AHEAD = (
    24_000 * 40
)  # tests speak faster than real time: the relay grants that to audio captured before hello
T = TypeVar("T")


def tone(ms: int) -> bytes:
    """PCM16 at 24 kHz, loud enough for any detection by energy."""
    return (np.sin(np.arange(ms * 24) / 12) * 8_000).astype("<i2").tobytes()


def silence(ms: int) -> bytes:
    """PCM16 zeros."""
    return bytes(ms * 48)


async def eventually(found: Callable[[], T]) -> T:
    """What `found` gives once that is true-ish; what the other side has received is not known at once."""
    async with asyncio.timeout(DEADLINE_S):
        while not (value := found()):  # noqa: ASYNC110 - anything can be asked, so nothing can tell
            await asyncio.sleep(0.005)
    return value


@dataclass
class Page:
    """One page. `received` is every JSON message so far, `audio` the speech by item, without repeats after a resume."""

    minted: dict[str, Any]
    origin: str | None = None
    received: list[dict[str, Any]] = field(default_factory=list)
    audio: dict[str, bytearray] = field(default_factory=dict)
    plays: bool = True  # reports everything as played at once
    uplink: bytearray = field(default_factory=bytearray)  # all that was captured
    close_code: int | None = None
    _item: str | None = None
    _socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        if self._socket is None:
            await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close. What still comes is read: behind a full queue the other side's close would never be seen."""
        if self._socket is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._socket.close(), name="page closes")
            with contextlib.suppress(ConnectionClosed, ConcurrencyError):  # or the test itself still reads
                while True:
                    await self._socket.recv()

    async def connect(self, *, token: str | None = None, **hello: Any) -> None:
        """Open the socket with the minted token and say hello."""
        self._socket = await connect(
            self.minted["url"],
            subprotocols=["voice.v1", "t." + (token or self.minted["token"])],
            origin=self.origin,
            compression=None,
            max_size=None,
        )
        self.close_code = None
        await self.say(
            "hello", **{"uplink_samples": len(self.uplink) // 2 + CAPTURED_AHEAD, "client": {}, **hello}
        )

    async def cut(self) -> None:
        """The network drops: no close frame."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def say(self, kind: str, **fields: Any) -> None:
        """Send one message."""
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def speak(self, pcm: bytes) -> None:
        """Capture and send audio as fast as the socket takes it."""
        assert self._socket is not None
        self.uplink += pcm
        for start in range(0, len(pcm), FRAME_BYTES):
            await self._socket.send(pcm[start : start + FRAME_BYTES])

    async def next(self) -> dict[str, Any] | bytes:
        """The next message or frame; `ConnectionClosed` at the end, with `close_code` set."""
        assert self._socket is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                raw = await self._socket.recv()
        except ConnectionClosed:
            self.close_code = self._socket.close_code
            raise
        if isinstance(raw, bytes):
            assert self._item is not None, "audio before audio.begin"
            self.audio[self._item] += raw
            if self.plays:
                with contextlib.suppress(ConnectionClosed):  # what came before the end is still to be read
                    await self.say(
                        "playout.position",
                        item_id=self._item,
                        samples=len(self.audio[self._item]) // 2,
                        buffered_ms=0,
                    )
            return raw
        message = json.loads(raw)
        self.received.append(message)
        if message["type"] == "audio.begin":
            self._item = message["item_id"]
            held = self.audio.setdefault(self._item, bytearray())
            del held[message["offset_samples"] * 2 :]
        elif message["type"] == "audio.clear" and self.plays:
            held = self.audio.get(message["item_id"], bytearray())
            await self.say("playout.cleared", item_id=message["item_id"], samples=len(held) // 2)
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Read on until a message of this type, with these fields, comes."""
        while True:
            message = await self.next()
            if isinstance(message, bytes) or message["type"] != kind:
                continue
            if all(message.get(name) == value for name, value in fields.items()):
                return message

    async def once(self, kind: str, since: int, **fields: Any) -> dict[str, Any]:
        """The first such message after the first `since` that came, whether it was read already or is to come."""
        for message in self.of(kind, since):
            if all(message.get(name) == value for name, value in fields.items()):
                return message
        return await self.until(kind, **fields)

    async def until_closed(self) -> int | None:
        """Read on until the relay closes; returns its code."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            return self.close_code

    def of(self, kind: str, since: int = 0) -> list[dict[str, Any]]:
        """All messages of a type so far, without the first `since` of all."""
        return [message for message in self.received[since:] if message["type"] == kind]
