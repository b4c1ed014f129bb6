"""An upstream that holds an hour's talk in seconds: whole turns of both sides when the test asks for them, whatever the
microphone says. It counts the microphone's frames and decides nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

ANSWER_MS = 30
HEARD = "conversation.item.input_audio_transcription"


class QuickUpstream:
    """`with QuickUpstream() as upstream:` listens on a free port, `url`."""

    def __init__(self) -> None:
        self.url = ""
        self.frames = 0  # of the microphone
        self.turns = 0
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._over = asyncio.Event()
        self._page: ServerConnection | None = None
        self._thread = threading.Thread(target=self._run, name="quick upstream", daemon=True)

    def talk(self, turns: int, pause_ms: float) -> None:
        """So many turns, one each `pause_ms`. Every tenth answer is interrupted by the turn that follows it."""
        asyncio.run_coroutine_threadsafe(self._talk(turns, pause_ms / 1_000), self._loop).result(600)

    def say(self, *events: dict[str, Any]) -> None:
        """These events, now."""
        asyncio.run_coroutine_threadsafe(self._say(events), self._loop).result(60)

    async def _say(self, events: Iterable[dict[str, Any]]) -> None:
        assert self._page is not None
        for event in events:
            await self._page.send(json.dumps({"event_id": "e", **event}))

    async def _talk(self, turns: int, pause_s: float) -> None:
        for _ in range(turns):
            await self._say(turn(self.turns))
            self.turns += 1
            if self.turns % 10:  # else the next one speaks into the answer
                await asyncio.sleep(pause_s)

    async def _converse(self, page: ServerConnection) -> None:
        self._page = page
        async for raw in page:
            event = json.loads(raw)
            if event["type"] == "session.update":
                await page.send(json.dumps({"event_id": "e", "type": "session.updated", "session": {}}))
            elif event["type"] == "input_audio_buffer.append":
                self.frames += 1

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with serve(self._converse, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/v1/realtime"
            self._listening.set()
            await self._over.wait()

    def __enter__(self) -> QuickUpstream:
        self._thread.start()
        assert self._listening.wait(30)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(15)
        assert not self._thread.is_alive()
        self._loop.close()


def turn(number: int, answer_ms: int = ANSWER_MS) -> list[dict[str, Any]]:
    """All events of one turn: something is said (the first three), understood and answered."""
    said, spoken, answer = f"said_{number}", f"spoken_{number}", f"answer_{number}"
    place = {"response_id": answer, "item_id": spoken}
    speech = base64.b64encode(bytes([0, 32]) * (24 * answer_ms)).decode()
    message = {"id": spoken, "type": "message", "status": "completed"}
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": said, "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": said, "audio_end_ms": 900},
        {"type": "input_audio_buffer.committed", "item_id": said},
        {"type": f"{HEARD}.delta", "item_id": said, "delta": f"Question {number}: "},
        {"type": f"{HEARD}.completed", "item_id": said, "transcript": f"Question {number}: and what then?"},
        {"type": "response.created", "response": {"id": answer}},
        {"type": "response.output_item.added", "response_id": answer, "item": message},
        {"type": "response.output_audio_transcript.delta", **place, "delta": f"Answer {number}. Then "},
        {"type": "response.output_audio_transcript.delta", **place, "delta": "comes the next one."},
        {"type": "response.output_audio.delta", **place, "delta": speech},
        {"type": "response.output_item.done", "response_id": answer, "item": message},
        {"type": "response.done", "response": {"id": answer, "status": "completed", "usage": None}},
    ]
