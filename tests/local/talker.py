"""A plain WebSocket client for tests of the local server: sends dicts, reads dicts, makes sound. No assertions."""

from __future__ import annotations

import asyncio
import base64
import json
from types import TracebackType
from typing import Any, Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

DEADLINE_S = 30.0
BYTES_PER_MS = 48


def tone(ms: int) -> bytes:
    """PCM16 at 24 kHz, loud enough for any detection by energy."""
    return (np.sin(np.arange(ms * 24) / 12) * 8_000).astype("<i2").tobytes()


def silence(ms: int) -> bytes:
    return bytes(ms * BYTES_PER_MS)


class Talker:
    """One connection. `events` is all that was received so far."""

    def __init__(self, url: str, query: str = "?model=gpt-realtime-2.1", **options: Any) -> None:
        self._connecting = connect(url + query, max_size=None, **options)
        self.socket: ClientConnection
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self.socket = await self._connecting.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connecting.__aexit__(kind, error, trace)

    async def send(self, type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def configure(self, **session: Any) -> dict[str, Any]:
        """A session.update that must succeed."""
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))["session"]

    async def speak(self, audio: bytes, frame_ms: int = 40) -> None:
        step = frame_ms * BYTES_PER_MS
        for start in range(0, len(audio), step):
            chunk = base64.b64encode(audio[start : start + step]).decode()
            await self.send("input_audio_buffer.append", audio=chunk)

    async def say(self, text: str, item_id: str | None = None) -> None:
        """Type a message; asks for no answer."""
        item: dict[str, Any] = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
        await self.send("conversation.item.create", item=item if item_id is None else {**item, "id": item_id})

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            event = json.loads(await self.socket.recv())
        self.events.append(event)
        return event

    async def until(self, type: str) -> dict[str, Any]:
        """Read on until an event of this type comes."""
        while True:
            event = await self.next()
            if event["type"] == type:
                return event

    async def exchange(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send an event and read the next one."""
        await self.send(type, **fields)
        return await self.next()

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of_type(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type]
