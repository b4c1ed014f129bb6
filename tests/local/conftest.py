"""Fixtures of the local server's tests. Assertions live in the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from realtime.local.server import LocalConfig, LocalServer
from realtime.local.vad import SileroModel
from realtime.local.voice import Voice
from tests.local.pure_session import PureSession


@pytest.fixture
def session() -> PureSession:
    return PureSession()


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[LocalServer]:
    """A scripted server with one turn that says a second of audio."""
    script = [{"hears": "Hello there.", "says": "Hello to you, too.", "audio_ms": 1000}]
    async with LocalServer(LocalConfig(mode="scripted", script=script, port=0)) as server:
        yield server


@pytest.fixture(scope="session")
def voice() -> Voice:
    return Voice()


@pytest.fixture(scope="session")
def silero() -> SileroModel:
    return SileroModel()
