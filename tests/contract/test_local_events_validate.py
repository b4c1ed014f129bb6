"""Every event of the local server against the types of the openai SDK, strictly. Behaviour is tested elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest_asyncio
from openai.types.realtime import ClientSecretCreateResponse, RealtimeServerEvent
from pydantic import BaseModel, Field, TypeAdapter

from realtime.local.server import LocalConfig, LocalServer
from tests.local.talker import Talker, silence, tone

SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])
# What recordings of the real service show and its types do not declare.
KNOWN_EXTRAS = {"obfuscation", "phase", "reasoning_tokens", "id", "object", "expires_at"}

SCRIPT = [
    {
        "hears": "what is the weather",
        "says": "Let me look.",
        "tool": {"name": "weather", "arguments": {"city": "Bonn"}},
    },
    {"hears": "and now", "says": "It is fine, all day long, everywhere.", "audio_ms": 900},
    {"hearing_fails": "Too noisy."},
    {"fails": {"code": "server_error", "message": "Broken."}},
    {"says": "One two three.", "incomplete": "content_filter"},
]
TOOLS = [{"type": "function", "name": "weather", "description": "Weather", "parameters": {"type": "object"}}]


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[LocalServer]:
    async with LocalServer(LocalConfig(mode="scripted", script=SCRIPT, port=0)) as server:
        yield server


def extras(value: Any, path: str) -> list[tuple[str, str]]:
    """(path, name) of every field that the types do not declare."""
    found = []
    if isinstance(value, BaseModel):
        found += [(path, name) for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += extras(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for entry in value:
            found += extras(entry, path)
    return found


def check(events: list[dict[str, Any]]) -> None:
    for event in events:
        parsed = SERVER_EVENTS.validate_json(json.dumps(event), strict=True)
        unknown = {(path, name) for path, name in extras(parsed, event["type"]) if name not in KNOWN_EXTRAS}
        assert not unknown
        if "audio" in event["type"] and "delta" in event and "transcript" not in event["type"]:
            assert len(base64.b64decode(event["delta"], validate=True)) % 2 == 0


async def test_a_voice_turn_with_a_function_call_validates(upstream: LocalServer) -> None:
    async with Talker(upstream.url) as talker:
        await talker.configure(
            tools=TOOLS, audio={"input": {"transcription": {"model": "gpt-transcribe", "language": "en"}}}
        )
        await talker.speak(tone(600) + silence(700))
        await talker.until("rate_limits.updated")
        call = talker.of_type("response.function_call_arguments.done")[0]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        await talker.send("conversation.item.create", item=output)
        await talker.send("response.create")
        await talker.until("rate_limits.updated")
    seen = set(talker.types())
    assert {
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.function_call_arguments.delta",
        "response.output_audio.delta",
        "response.done",
    } <= seen
    check(talker.events)


async def test_how_sure_the_recogniser_is_validates_and_is_told_to_who_asks() -> None:
    script = [{"hears": "one two", "sure": 0.5, "heard_at": "before"}]
    told = []
    async with LocalServer(LocalConfig(mode="scripted", script=script, port=0)) as upstream:
        for more in ({"include": ["item.input_audio_transcription.logprobs"]}, {}):
            async with Talker(upstream.url) as talker:
                await talker.configure(
                    **more, audio={"input": {"transcription": {"model": "gpt-transcribe"}}}
                )
                await talker.speak(tone(400) + silence(700))
                told.append(await talker.until("conversation.item.input_audio_transcription.completed"))
                check(talker.events)
    asked, unasked = told
    assert [entry["token"] for entry in asked["logprobs"]] == ["one", " two"]
    assert [entry["logprob"] for entry in asked["logprobs"]] == [-0.6931, -0.6931]
    assert "logprobs" not in unasked


async def test_text_truncate_retrieve_delete_clear_and_errors_validate(upstream: LocalServer) -> None:
    async with Talker(upstream.url) as talker:
        await talker.configure(output_modalities=["audio"], audio={"input": {"turn_detection": None}})
        await talker.say("first")
        await talker.say("second")
        await talker.send("response.create")
        done = await talker.until("response.done")
        item_id = done["response"]["output"][0]["id"]
        await talker.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=400)
        await talker.send("conversation.item.retrieve", item_id=item_id)
        await talker.send("conversation.item.delete", item_id=item_id)
        await talker.send("input_audio_buffer.clear")
        await talker.send("input_audio_buffer.commit", event_id="mine")
        error = await talker.until("error")
        await talker.send(
            "response.create", response={"conversation": "none", "output_modalities": ["text"], "input": []}
        )
        await talker.until("response.done")
    assert error["error"]["event_id"] == "mine"
    check(talker.events)
    assert {
        "conversation.item.truncated",
        "conversation.item.retrieved",
        "conversation.item.deleted",
        "input_audio_buffer.cleared",
        "response.output_text.delta",
    } <= set(talker.types())


async def test_failed_incomplete_and_cancelled_responses_validate(upstream: LocalServer) -> None:
    async with Talker(upstream.url) as talker:
        await talker.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
        for _ in range(2):
            await talker.say("go on")
        await talker.speak(tone(400) + silence(700))  # the third turn: cannot be heard
        await talker.until("conversation.item.input_audio_transcription.failed")
        await talker.until("response.done")
        for expected in ("failed", "incomplete"):
            await talker.say("next")
            await talker.send("response.create")
            done = await talker.until("response.done")
            assert done["response"]["status"] == expected
    check(talker.events)


async def test_barge_in_and_cancel_validate() -> None:
    never = asyncio.Event()

    async def sleep(_: float) -> None:
        await never.wait()

    config = LocalConfig(
        mode="scripted", script=[{"says": "A long story.", "audio_ms": 9000}], port=0, pace=1
    )
    async with LocalServer(config, sleep=sleep) as upstream, Talker(upstream.url) as talker:
        await talker.speak(tone(400) + silence(600))
        await talker.until("response.output_audio.delta")
        await talker.speak(tone(400))
        done = await talker.until("response.done")
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        await talker.speak(silence(600))
        await talker.until("response.output_audio.delta")
        await talker.send("response.cancel")
        done = await talker.until("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
    check(talker.events)


async def test_transcription_sessions_and_idle_timeout_validate() -> None:
    clock = Clock()
    config = LocalConfig(mode="scripted", port=0)
    async with LocalServer(config, clock_ms=clock) as upstream:
        async with Talker(upstream.url, "?intent=transcription") as talker:
            await talker.send(
                "session.update",
                session={
                    "type": "transcription",
                    "audio": {"input": {"transcription": {"model": "gpt-live-transcribe"}}},
                },
            )
            await talker.until("session.updated")
            await talker.speak(tone(400) + silence(600))
            await talker.until("conversation.item.input_audio_transcription.completed")
        check(talker.events)
        async with Talker(upstream.url) as talker:
            await talker.configure(
                output_modalities=["text"],
                audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}},
            )
            await talker.speak(silence(500))
            await talker.say("hello")
            await talker.send("response.create")
            await talker.until("response.done")
            clock.now_ms += 6_000
            await talker.send(
                "conversation.item.retrieve", item_id="nothing"
            )  # anything that lets it look at the clock
            await talker.until("input_audio_buffer.timeout_triggered")
            await talker.until("response.done")
        check(talker.events)


async def test_client_secrets_validate_and_open_sessions() -> None:
    async with LocalServer(LocalConfig(mode="scripted", port=0, keys=("sk-right",))) as upstream:
        async with httpx2.AsyncClient(base_url=upstream.http_url) as http:
            body = {
                "session": {"type": "realtime", "model": "gpt-realtime-2.1"},
                "expires_after": {"seconds": 60},
            }
            answer = await http.post(
                "/realtime/client_secrets", json=body, headers={"Authorization": "Bearer sk-right"}
            )
            assert answer.status_code == 200
            secret = ClientSecretCreateResponse.model_validate_json(answer.text, strict=True)
            refused = await http.post("/realtime/client_secrets", json=body)
            assert refused.status_code == 401
            wrong = await http.post(
                "/realtime/client_secrets", content=b"{", headers={"Authorization": "Bearer sk-right"}
            )
            assert wrong.status_code == 400
        offered = ["realtime", f"openai-insecure-api-key.{secret.value}", "openai-agents-sdk.0.20.0"]
        async with Talker(upstream.url, subprotocols=offered) as talker:
            assert talker.socket.subprotocol == "realtime"
            await talker.until("session.created")
        check(talker.events)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 0.0

    def __call__(self) -> float:
        return self.now_ms
