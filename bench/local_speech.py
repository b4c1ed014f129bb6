"""Figures of the local server's speech mode: word error rate, response latency, memory, people at once.

    python bench/local_speech.py words [--recognizer-path FOLDER]
    python bench/local_speech.py latency
    python bench/local_speech.py crowd

Latency is taken from outside, over a real WebSocket and in real time: from the moment the last spoken sample was sent
to the moment the first audio delta of the answer arrived. The silence that ends a turn (500 ms) is part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from websockets.asyncio.client import connect

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from local_voices import RATE_HZ, SENTENCES, say, voices  # noqa: E402

from realtime.local.assistant.numbers import with_digits  # noqa: E402

FRAME_MS = 20
FRAME_BYTES = FRAME_MS * RATE_HZ // 1000 * 2


def plain_words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9 ]", "", with_digits(text).lower()).split()


def word_errors(truth: list[str], heard: list[str]) -> int:
    """Edit distance in words."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(truth, start=1):
        before, row[0] = row[0], at
        for place, other in enumerate(heard, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


def words(path: str | None) -> None:
    from realtime.local.recognizer import Recognizer

    recognizer = Recognizer(path)
    total_errors = total_words = 0
    for voice in voices():
        errors = count = 0
        took = []
        for sentence in SENTENCES:
            pad = np.zeros(RATE_HZ * 3 // 10, np.float32)
            samples = soxr.resample(np.concatenate([pad, say(voice, sentence), pad]), RATE_HZ, 16_000)
            began = time.perf_counter()
            heard = recognizer.transcribe(samples, 2_000)
            took.append((time.perf_counter() - began) * 1000)
            truth = plain_words(sentence)
            errors += word_errors(truth, plain_words(heard))
            count += len(truth)
        total_errors, total_words = total_errors + errors, total_words + count
        print(
            f"{voice:14} {100 * errors / count:5.1f} % of {count} words, {statistics.median(took):4.0f} ms a sentence"
        )
    print(f"{'all':14} {100 * total_errors / total_words:5.1f} % of {total_words} words")


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """The real thing, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime.local", "--port", "0"), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    began = time.monotonic()
    while not (line := (await process.stdout.readline()).decode()).startswith("ready on "):
        assert line, "the server did not start"
    print(f"ready after {time.monotonic() - began:.1f} s")
    draining = asyncio.create_task(process.stdout.read())
    try:
        yield Server(line.removeprefix("ready on ").strip(), process.pid)
    finally:
        process.terminate()
        await process.wait()
        await draining


async def one_turn(url: str, pcm: bytes) -> float:
    """Milliseconds from the last spoken sample to the first audio of the answer, on a connection of its own."""
    async with connect(url + "?model=gpt-realtime-2.1", max_size=None) as socket:
        session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        spoken_at = 0.0

        async def speak() -> None:
            nonlocal spoken_at
            lead, tail = bytes(FRAME_BYTES * 25), bytes(FRAME_BYTES * 250)
            audio = lead + pcm + tail
            due = time.perf_counter()
            for start in range(0, len(audio), FRAME_BYTES):
                chunk = base64.b64encode(audio[start : start + FRAME_BYTES]).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": chunk}))
                if start <= len(lead) + len(pcm):
                    spoken_at = time.perf_counter()
                due += FRAME_MS / 1000
                await asyncio.sleep(max(0.0, due - time.perf_counter()))

        speaking = asyncio.create_task(speak())
        try:
            async with asyncio.timeout(60):
                async for message in socket:
                    if '"response.output_audio.delta"' in message[:60]:  # type: ignore[operator]
                        return (time.perf_counter() - spoken_at) * 1000
        finally:
            speaking.cancel()
    raise AssertionError("no answer came")


def clips() -> list[bytes]:
    """The sentences in turn over all voices, as PCM16."""
    names = voices()
    return [
        (np.clip(say(names[index % len(names)], sentence), -1, 1) * 32767).astype("<i2").tobytes()
        for index, sentence in enumerate(SENTENCES)
    ]


def report(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"{name}: median {statistics.median(values):.0f} ms, p95 {p95:.0f} ms, {len(values)} turns")


async def latency() -> None:
    async with running_server() as server:
        print(f"memory before: {server.memory_mb():.0f} MB")
        values = [await one_turn(server.url, pcm) for pcm in clips()]
        report("end of speech to first audio", values)
        print(f"memory after: {server.memory_mb():.0f} MB")


async def crowd() -> None:
    recorded = clips()
    async with running_server() as server:
        for people in (2, 4, 8, 16):
            turns = [one_turn(server.url, recorded[index % len(recorded)]) for index in range(people)]
            report(f"{people:2} people at once", list(await asyncio.gather(*turns)))
        print(f"memory after: {server.memory_mb():.0f} MB")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("what", choices=("words", "latency", "crowd"))
    options.add_argument("--recognizer-path", help="another Moonshine model, for `words`")
    given = options.parse_args()
    if not voices():
        sys.exit("No voice to test with: install flite or espeak-ng, or pip install py-nanotts.")
    if given.what == "words":
        words(given.recognizer_path)
    else:
        asyncio.run(latency() if given.what == "latency" else crowd())


if __name__ == "__main__":
    main()
