"""What the relay itself takes for a frame, without sockets: CPU in this process, for each way that a message goes.

    python bench/hot_path.py [--rounds 7]

One session with a page and an upstream whose sockets take everything and cost nothing. Frames come as bytes of the
page's WebSocket, so cutting and unmasking them is in it; the web server's loop, the sockets and the journal are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.update(DEBUG="true", PYTHON_DOTENV_DISABLED="1", DJANGO_SETTINGS_MODULE="voiceproject.settings")

FRAME = random.Random(7).randbytes(1920)
MASK = b"\x37\xfa\x21\x3d"
ANSWER_FRAMES = 250
POSITION_EVERY = 3  # frames: about ten reports for a second of audio
STRETCH = 50  # frames at a time: what is timed must be long beside the clock


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as a browser sends it."""
    from websockets.utils import apply_mask

    size = len(payload)
    length = bytes((size | 0x80,)) if size < 126 else bytes((126 | 0x80,)) + struct.pack("!H", size)
    return bytes((0x80 | opcode,)) + length + MASK + apply_mask(payload, MASK)


def event(kind: str, **fields: Any) -> bytes:
    """An event as the provider writes it."""
    return json.dumps({"type": kind, "event_id": "event_0", **fields}, separators=(",", ":")).encode()


class Bench:
    """A session in mid-call."""

    def __init__(self) -> None:
        from django.conf import settings

        from realtime import consumers, intake, session_life, upstream_events
        from realtime.audio import encode_base64
        from realtime.conf import relay_config
        from realtime.frames import BINARY, Cutter
        from realtime.queues import Budget
        from realtime.recorder import RecordingThread
        from realtime.relay import BrowserLink, Relay
        from realtime.session import Session

        def never_empty() -> Budget:
            return Budget(rate_per_s=1e12, burst=1e12)

        intake.audio_budget = intake.frame_budget = session_life.upstream_budget = never_empty
        self.binary = BINARY
        self.encode_base64 = encode_base64
        self.taken = self.answers = 0

        class Nothing:
            """Of the journal."""

            def put(self, entry: Any) -> None:
                """It is not measured here."""

        config = relay_config(settings)
        self.relay = Relay(
            Session(config, random.Random(1), "bench"),
            Nothing(),  # type: ignore[arg-type]
            session_id=uuid4(),
            conversation_id=uuid4(),
            user_id=1,
            recordings=RecordingThread(),
        )
        self.cutter = Cutter(65_536)
        link = BrowserLink(self.take)
        link._at_once = self.take  # as the pump leaves it when nothing waits
        self.relay.attach(link, {"type": "hello", "uplink_samples": 0})
        self.relay.perform(self.relay.session.upstream_opened(0))
        self.relay._upstream_said(event("session.updated", session={}))
        self.relay._send_at_once = self.take  # as the writer leaves it
        self.ears = consumers.Ears(self.relay, link)
        self.upstream_events = upstream_events
        self.up_bytes = masked(2, FRAME)
        self.samples = 0

    def take(self, _payload: Any) -> bool:
        """A socket that has room."""
        self.taken += 1
        return True

    def page_says(self, data: bytes) -> None:
        """Bytes of the page's socket, as both web servers' adapters take them."""
        for kind, frame in self.cutter.cut(data):
            self.ears.hear(frame if kind == self.binary else frame.decode())

    def begin_answer(self) -> None:
        """An answer, up to its first speech."""
        self.answers += 1
        ids = {"response_id": f"resp_{self.answers}"}
        self.item = f"item_{self.answers}"
        self.relay._upstream_said(event("response.created", response={"id": ids["response_id"]}))
        item = {"id": self.item, "type": "message", "role": "assistant"}
        self.relay._upstream_said(event("response.output_item.added", **ids, output_index=0, item=item))
        self.delta = event(
            "response.output_audio.delta",
            **ids,
            item_id=self.item,
            output_index=0,
            content_index=0,
            delta=self.encode_base64(FRAME).decode(),
        )
        self.samples = 0

    def end_answer(self) -> None:
        """Its end, heard to the last sample."""
        item = {"id": self.item, "type": "message", "role": "assistant", "status": "completed"}
        response = {"id": f"resp_{self.answers}", "status": "completed"}
        self.relay._upstream_said(
            event("response.output_item.done", response_id=response["id"], output_index=0, item=item)
        )
        self.relay._upstream_said(event("response.done", response=response))
        self.page_says(self.report(self.samples))

    def report(self, samples: int) -> bytes:
        """What was played."""
        said = {"type": "playout.position", "item_id": self.item, "samples": samples, "buffered_ms": 80}
        return masked(1, json.dumps(said, separators=(",", ":")).encode())

    def page_says_all(self, frames: list[bytes]) -> None:
        """One after the other."""
        for frame in frames:
            self.page_says(frame)

    def up(self) -> None:
        """A microphone frame."""
        self.page_says(self.up_bytes)

    def down(self) -> None:
        """A delta of speech."""
        self.relay._upstream_said(self.delta)
        self.samples += 960

    def run(self, answers: int = 8) -> dict[str, float]:
        """Microseconds of each way in some answers of ten seconds, as a call has them."""
        clock = time.process_time
        spent = {"up": 0.0, "down": 0.0, "report": 0.0, "answer": 0.0}

        def timed(name: str, act: Callable[[], None], times: int = 1) -> None:
            began = clock()
            for _ in range(times):
                act()
            spent[name] += clock() - began

        for _ in range(answers):
            timed("answer", self.begin_answer)
            for _ in range(ANSWER_FRAMES // STRETCH):
                timed("up", self.up, STRETCH)
                timed("down", self.down, STRETCH)
                reports = [self.report(self.samples - 960 * n) for n in range(0, STRETCH, POSITION_EVERY)]
                timed("report", partial(self.page_says_all, reports[::-1]))
            timed("answer", self.end_answer)
        frames = answers * ANSWER_FRAMES
        reports_made = answers * (ANSWER_FRAMES // STRETCH) * len(range(0, STRETCH, POSITION_EVERY))
        counts = {"up": frames, "down": frames, "report": reports_made, "answer": answers}
        each = {name: spent[name] * 1e6 / counts[name] for name in spent}
        each["frame pair"] = sum(spent.values()) * 1e6 / frames
        return each


async def main() -> None:
    """Some rounds, and the median of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    bench = Bench()
    found = []
    async with asyncio.TaskGroup() as group:
        bench.relay._group = group  # what it asks of the budgets is answered between the rounds
        for _ in range(rounds + 1):
            found.append(bench.run())
            await asyncio.sleep(0)
    del found[0]  # what is made at first use
    assert bench.ears.broken is None, bench.ears.broken
    assert bench.taken > rounds * 8 * ANSWER_FRAMES * 2
    for name in found[0]:
        print(f"{name:10} {statistics.median(one[name] for one in found):8.2f} us")


if __name__ == "__main__":
    import django

    django.setup()
    asyncio.run(main())
