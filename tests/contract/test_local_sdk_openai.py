"""The openai SDK, unmodified, drives the local server through whole conversations. Types are judged elsewhere."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from realtime.local.script import scripted_pcm
from realtime.local.server import LocalConfig, LocalServer
from tests.local.talker import silence, tone

MODEL = "gpt-realtime-2.1"
SCRIPT = [
    {"hears": "Good morning.", "says": "Good morning to you.", "audio_ms": 800},
    {
        "hears": "Weather?",
        "tool": {"name": "weather", "arguments": {"city": "Bonn"}},
        "then": "It is sunny in Bonn.",
    },
]
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "Weather",
    "parameters": {"type": "object"},
}


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[LocalServer]:
    async with LocalServer(LocalConfig(mode="scripted", script=SCRIPT, port=0)) as server:
        yield server


def sdk(upstream: LocalServer, key: str = "sk-any") -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=upstream.http_url)


async def until(connection: Any, kind: str) -> tuple[Any, list[Any]]:
    """The first event of a type, and all events up to it."""
    seen = []
    async with asyncio.timeout(30):
        while True:
            event = await connection.recv()
            seen.append(event)
            if event.type == kind:
                return event, seen


async def test_text_turn(upstream: LocalServer) -> None:
    async with sdk(upstream).realtime.connect(model=MODEL) as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Good morning."}],
            }
        )
        await connection.response.create()
        done, seen = await until(connection, "response.done")
    assert done.response.output[0].content[0].text == "Good morning to you."
    assert (
        "".join(event.delta for event in seen if event.type == "response.output_text.delta")
        == "Good morning to you."
    )


async def test_voice_turn_with_transcription(upstream: LocalServer) -> None:
    async with sdk(upstream).realtime.connect(model=MODEL) as connection:
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
        )
        await connection.input_audio_buffer.append(audio=base64.b64encode(tone(500) + silence(600)).decode())
        heard, before = await until(connection, "conversation.item.input_audio_transcription.completed")
        _, after = await until(connection, "response.done")
    assert heard.transcript == "Good morning."
    audio = b"".join(
        base64.b64decode(event.delta)
        for event in before + after
        if event.type == "response.output_audio.delta"
    )
    assert audio == scripted_pcm(0, 0, 800 * 24)


async def test_function_call_round_trip(upstream: LocalServer) -> None:
    async with sdk(upstream).realtime.connect(model=MODEL) as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [TOOL]}
        )
        for text in ("Good morning.", "Weather?"):
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            )
        await connection.response.create()
        call, _ = await until(connection, "response.function_call_arguments.done")
        assert (call.name, call.arguments) == ("weather", '{"city": "Bonn"}')
        await until(connection, "response.done")
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        )
        await connection.response.create()
        done, _ = await until(connection, "response.done")
    assert done.response.output[0].content[0].text == "It is sunny in Bonn."


async def test_push_to_talk_with_commit(upstream: LocalServer) -> None:
    async with sdk(upstream).realtime.connect(model=MODEL) as connection:
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        )
        await connection.input_audio_buffer.append(audio=base64.b64encode(tone(300)).decode())
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        done, seen = await until(connection, "response.done")
    assert done.response.output[0].content[0].transcript == "Good morning to you."
    assert "input_audio_buffer.speech_started" not in {event.type for event in seen}


async def test_barge_in_with_truncate() -> None:
    held = asyncio.Event()

    async def sleep(_: float) -> None:
        await held.wait()

    config = LocalConfig(
        mode="scripted", script=[{"says": "A long story.", "audio_ms": 8000}], port=0, pace=1
    )
    async with (
        LocalServer(config, sleep=sleep) as upstream,
        sdk(upstream).realtime.connect(model=MODEL) as connection,
    ):
        await connection.input_audio_buffer.append(audio=base64.b64encode(tone(500) + silence(600)).decode())
        delta, _ = await until(connection, "response.output_audio.delta")
        await connection.input_audio_buffer.append(audio=base64.b64encode(tone(500)).decode())
        done, seen = await until(connection, "response.done")
        assert "input_audio_buffer.speech_started" in {event.type for event in seen}
        assert done.response.status_details.reason == "turn_detected"
        await connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=120)
        truncated, _ = await until(connection, "conversation.item.truncated")
        assert truncated.audio_end_ms == 120
        await connection.conversation.item.retrieve(item_id=delta.item_id)
        retrieved, _ = await until(connection, "conversation.item.retrieved")
    part = retrieved.item.content[0]
    assert part.transcript is None
    assert len(base64.b64decode(part.audio)) == 120 * 48


async def test_a_wrong_key_is_refused_before_the_socket_opens() -> None:
    async with LocalServer(LocalConfig(mode="scripted", port=0, keys=("sk-right",))) as upstream:
        with pytest.raises(InvalidStatus) as refused:
            async with sdk(upstream, "sk-wrong").realtime.connect(model=MODEL):
                pass
        assert refused.value.response.status_code == 401
        assert b"invalid_api_key" in (refused.value.response.body or b"")


async def test_a_model_that_is_not_realtime_is_told_and_closed(upstream: LocalServer) -> None:
    async with sdk(upstream).realtime.connect(model="gpt-live-1") as connection:
        error, _ = await until(connection, "error")
        assert error.error.code == "invalid_model"
        with pytest.raises(ConnectionClosedError) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000
