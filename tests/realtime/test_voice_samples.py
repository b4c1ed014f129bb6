"""How a voice sounds can be heard before it is chosen: spoken once, kept, given to those who are logged in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from realtime import voice_samples
from realtime.exceptions import UpstreamError
from realtime.recording_file import WAV_HEADER_BYTES

SCRIPT = [{"says": "Hello! This is how I sound.", "audio_ms": 400}]


@pytest.fixture(autouse=True)
def samples(settings: Any, tmp_path: Path) -> Path:
    """Where they are kept; nothing has failed before."""
    settings.REALTIME_SAMPLES_DIR = tmp_path / "samples"
    voice_samples._failed_at.clear()
    voice_samples._making.clear()  # its locks belong to another test's loop
    return tmp_path / "samples"


async def _logged_in(user: Any) -> AsyncClient:
    client = AsyncClient()
    await sync_to_async(client.force_login)(user)
    return client


async def test_a_voice_speaks_once_and_is_heard_by_all(make_site: Any, ada: Any, samples: Path) -> None:
    site = await make_site(SCRIPT)
    her = await _logged_in(ada)
    both = await asyncio.gather(*(her.get("/api/voice/samples/cedar") for _ in range(2)))
    for answer in both:
        assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")
        assert len(answer.content) == WAV_HEADER_BYTES + 400 * 48
    assert len(site.upstream.connections) == 1
    asked = site.upstream.connections[0].received
    assert asked[0]["session"]["audio"]["output"]["voice"] == "cedar"
    assert asked[1]["response"]["conversation"] == "none"
    assert await asyncio.to_thread(lambda: len(list(samples.iterdir()))) == 1, "and no half file"


async def test_who_asks_while_it_is_being_made_waits_for_the_same_one(make_site: Any) -> None:
    site = await make_site(SCRIPT)
    first, second = await asyncio.gather(*(voice_samples.sample("cedar", "en") for _ in range(2)))
    assert first == second
    assert len(site.upstream.connections) == 1


async def test_a_sample_is_nobodys_session(make_site: Any, ada: Any) -> None:
    from realtime.models import RealtimeSession, UsageRecord

    await make_site(SCRIPT)
    assert (await (await _logged_in(ada)).get("/api/voice/samples/site")).status_code == 200
    assert not await RealtimeSession.objects.aexists()
    assert not await UsageRecord.objects.aexists()


@pytest.mark.django_db(transaction=True)
async def test_an_upstream_that_is_away_is_told_and_not_asked_at_once_again(ada: Any, settings: Any) -> None:
    settings.REALTIME_BASE_URL = "ws://127.0.0.1:9/v1/realtime"
    her = await _logged_in(ada)
    answer = await her.get("/api/voice/samples/cedar")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream.lost")
    assert len(voice_samples._failed_at) == 1
    (failed,) = voice_samples._failed_at.values()
    with pytest.raises(UpstreamError):
        await voice_samples.sample("cedar", "en")
    assert list(voice_samples._failed_at.values()) == [failed], "it was not tried again"


@pytest.mark.django_db(transaction=True)
async def test_only_known_voices_and_only_for_those_who_are_logged_in(ada: Any) -> None:
    assert (await AsyncClient().get("/api/voice/samples/cedar")).status_code == 401
    her = await _logged_in(ada)
    for name in ("darth", "site-1"):
        assert (await her.get(f"/api/voice/samples/{name}")).status_code == 404
