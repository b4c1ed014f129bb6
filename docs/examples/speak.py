"""A call by a program: says a WAV file, prints what both sides said, writes the answer's sound to answer.wav.

    .venv/bin/python docs/examples/speak.py http://127.0.0.1:8000 demo demo-voice-2026 question.wav

The file is mono, 16 bit, 24 kHz. Needs nothing of this project, only `websockets`.
"""

import asyncio
import json
import sys
import urllib.request
import wave

from websockets.asyncio.client import connect

FRAME_BYTES, FRAME_S = 1_920, 0.04  # 40 ms of PCM16 at 24 kHz


def post(address, body, access=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {access}"} if access else {})
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


async def say(socket, pcm):
    """As fast as it is spoken, with a second of silence behind it, so that the end of the sentence is heard."""
    pcm += bytes(FRAME_BYTES * 25)
    for start in range(0, len(pcm), FRAME_BYTES):
        await socket.send(pcm[start : start + FRAME_BYTES])
        await asyncio.sleep(FRAME_S)


async def call(site, username, password, path):
    access = post(f"{site}/api/token/", {"username": username, "password": password})["access"]
    minted = post(f"{site}/api/voice/realtime-session", {"modality": "voice"}, access)
    with wave.open(path) as file:
        pcm = file.readframes(file.getnframes())
    answer, item_id = bytearray(), None
    awaited = {"words of the question", "sound of the answer"}  # either may be complete first
    async with connect(minted["url"], subprotocols=[minted["protocol"], f"t.{minted['token']}"]) as socket:

        async def send(kind, **fields):
            await socket.send(json.dumps({"type": kind, **fields}))

        await send("hello", uplink_samples=0)
        speaking = asyncio.create_task(say(socket, pcm))
        async for message in socket:
            if isinstance(message, bytes):
                answer += message
                # Nothing is played here, so all of it counts as heard; the relay sends no more than 4 s ahead of that.
                await send("playout.position", item_id=item_id, samples=len(answer) // 2)
                continue
            event = json.loads(message)
            match event["type"]:
                case "transcript.done":
                    print(f"{event['role']}: {event['text']}")
                    if event["role"] == "user":
                        awaited.discard("words of the question")
                case "audio.begin":
                    item_id = event["item_id"]
                case "audio.end":
                    awaited.discard("sound of the answer")
                case "error":
                    print(f"{event['code']}: {event.get('detail') or event['message']}", file=sys.stderr)
            if not awaited:
                await send("session.end")
                awaited.add("end")
        speaking.cancel()
    with wave.open("answer.wav", "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(answer)


asyncio.run(call(*sys.argv[1:]))
