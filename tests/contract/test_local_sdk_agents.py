"""The openai-agents SDK (RealtimeRunner), unmodified, drives the local server through whole conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from realtime.local.server import LocalConfig, LocalServer
from tests.local.talker import silence, tone

SCRIPT = [
    {"hears": "Good morning.", "says": "Good morning to you.", "audio_ms": 800},
    {
        "hears": "Weather?",
        "tool": {"name": "weather", "arguments": {"city": "Bonn"}},
        "then": "It is sunny in Bonn.",
    },
]


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[LocalServer]:
    async with LocalServer(LocalConfig(mode="scripted", script=SCRIPT, port=0)) as server:
        yield server


async def session_at(
    upstream: LocalServer, tools: list[Any] | None = None, **audio_input: Any
) -> RealtimeSession:
    agent = RealtimeAgent(name="Assistant", instructions="Be kind.", tools=tools or [])
    audio = {
        "input": {"transcription": {"model": "gpt-transcribe"}, **audio_input},
        "output": {"voice": "marin"},
    }
    runner = RealtimeRunner(
        agent,
        config={
            "model_settings": {"model_name": "gpt-realtime-2.1", "audio": audio},
            "tracing_disabled": True,
        },  # type: ignore[typeddict-item]
    )
    url = f"{upstream.url}?model=gpt-realtime-2.1"
    return await runner.run(model_config={"url": url, "api_key": "sk-any"})


async def wait_for(session: RealtimeSession, found: Callable[[Any], bool]) -> list[Any]:
    seen = []
    async with asyncio.timeout(30):
        async for event in session:
            seen.append(event)
            assert event.type != "error", event
            if found(event):
                return seen
    raise AssertionError("the session ended")


def raw(kind: str) -> Callable[[Any], bool]:
    """Matches the SDK's view of a server event of this type."""

    def matches(event: Any) -> bool:
        data = getattr(event, "data", None)
        return (
            event.type == "raw_model_event"
            and data.type == "raw_server_event"
            and data.data.get("type") == kind
        )

    return matches


def said(session: RealtimeSession, role: str) -> list[str]:
    texts = []
    for item in session._history:
        if getattr(item, "role", None) == role:
            texts += [
                getattr(part, "transcript", None) or getattr(part, "text", None) or ""
                for part in item.content
            ]
    return texts


async def test_text_turn(upstream: LocalServer) -> None:
    async with await session_at(upstream) as session:
        await session.send_message("Good morning.")
        seen = await wait_for(session, raw("response.done"))
        assert said(session, "assistant") == ["Good morning to you."]
    audio = b"".join(event.audio.data for event in seen if event.type == "audio")
    assert len(audio) == 800 * 48


async def test_voice_turn_with_transcription(upstream: LocalServer) -> None:
    turn_detection = {"type": "server_vad", "interrupt_response": True}
    async with await session_at(upstream, turn_detection=turn_detection) as session:
        await session.send_audio(tone(500) + silence(600))
        await wait_for(session, raw("response.done"))
        await wait_for(session, lambda event: said(session, "user") == ["Good morning."])
        assert said(session, "assistant") == ["Good morning to you."]


async def test_function_call_round_trip(upstream: LocalServer) -> None:
    asked = []

    @function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "sunny"

    async with await session_at(upstream, tools=[weather]) as session:
        await session.send_message("Good morning.")
        await wait_for(session, raw("response.done"))
        await session.send_message("Weather?")
        await wait_for(session, lambda event: "It is sunny in Bonn." in said(session, "assistant"))
    assert asked == ["Bonn"]
    outputs = [
        event["item"]["output"]
        for event in upstream.connections[0].received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
    ]
    assert outputs == ["sunny"]


async def test_push_to_talk_with_commit(upstream: LocalServer) -> None:
    from agents.realtime.model_inputs import RealtimeModelRawClientMessage, RealtimeModelSendRawMessage

    async with await session_at(upstream, turn_detection=None) as session:
        await session.send_audio(tone(300), commit=True)
        create = RealtimeModelRawClientMessage(type="response.create")
        await session.model.send_event(RealtimeModelSendRawMessage(message=create))
        await wait_for(session, raw("response.done"))
        assert said(session, "assistant") == ["Good morning to you."]


async def test_barge_in_with_truncate() -> None:
    held = asyncio.Event()

    async def sleep(_: float) -> None:
        await held.wait()

    config = LocalConfig(
        mode="scripted", script=[{"says": "A long story.", "audio_ms": 8000}], port=0, pace=1
    )
    async with LocalServer(config, sleep=sleep) as upstream:
        turn_detection = {"type": "server_vad", "interrupt_response": True}
        async with await session_at(upstream, turn_detection=turn_detection) as session:
            await session.send_audio(tone(500) + silence(600))
            await wait_for(session, lambda event: event.type == "audio")
            await session.send_audio(tone(500))
            seen = await wait_for(session, raw("conversation.item.truncated"))
            assert "audio_interrupted" in {event.type for event in seen}
    types = [event["type"] for event in upstream.connections[0].received]
    assert "conversation.item.truncate" in types
    cancelled = [event for event in upstream.connections[0].sent if event["type"] == "response.done"]
    assert cancelled[0]["response"]["status_details"]["reason"] == "turn_detected"
