"""What is around the relay goes wrong: the channel layer and Redis (F31, F32), the clock (F33, F36)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from realtime import admission, leases
from realtime.models import RealtimeSession
from tests.faults.conftest import StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import ask
from tests.realtime.page import Page

ROOT = Path(__file__).resolve().parents[2]
real_now, real_time = timezone.now, admission.time.time


class DeadLayer:
    """A channel layer whose Redis is gone: whatever is asked of it fails."""

    asked = 0

    def __init__(self, **options: Any) -> None:
        """Made at the first use of the layer."""

    def __getattr__(self, name: str) -> Any:
        type(self).asked += 1
        raise ConnectionError("the layer is down")


async def test_the_relay_needs_no_channel_layer(stage: StageMaker, ada: Any, settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "tests.faults.test_surroundings.DeadLayer"}}
    DeadLayer.asked = 0
    async with stage() as s:
        page = await s.talking(ada)
        await ask(page)
        await page.cut()
        await s.resume(ada, page)
        await ask(page)
        await page.say("session.end")
        assert await page.until_closed() == 1000
    assert DeadLayer.asked > 0  # in vain


def test_the_layer_of_the_settings_waits_on_redis_without_a_limit_of_the_socket() -> None:
    code = "from voiceproject import settings as s; print(s.CHANNEL_LAYERS['default']['CONFIG']['hosts'])"
    environment = {"REDIS_URL": "redis://127.0.0.1:1/0", "DEBUG": "true", "PYTHON_DOTENV_DISABLED": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "'socket_timeout': None" in run.stdout


def set_clock_of_tokens(monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """What mints and checks tokens sees a clock that is off by so much."""
    monkeypatch.setattr(admission, "time", SimpleNamespace(time=lambda: real_time() + by_s))


def set_clock(monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """The machine's clock is off by so much from now on; the monotonic one is not."""
    set_clock_of_tokens(monkeypatch, by_s)
    monkeypatch.setattr(timezone, "now", lambda: real_now() + timedelta(seconds=by_s))


async def after_the_next_round(page: Page) -> RealtimeSession:
    """The session's row once it has a new lease, or an end."""
    first = await RealtimeSession.objects.aget(pk=page.minted["session_id"])
    async with asyncio.timeout(15):
        while True:
            row = await RealtimeSession.objects.aget(pk=first.pk)
            if row.ended_at or row.lease_until != first.lease_until:
                return row
            await asyncio.sleep(0.02)


async def leases_count_again(page: Page) -> None:
    """After the clock was put right: all are renewed at once, the canary's too, and the checker reaps by them."""
    row = await RealtimeSession.objects.aget(pk=page.minted["session_id"])
    async with asyncio.timeout(15):
        while row.lease_until < timezone.now():
            await asyncio.sleep(0.02)
            await row.arefresh_from_db()


@taking_turns("by_s", [600, -600, 86_400])
async def test_a_clock_that_jumps_ends_no_session(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch, settings: Any, by_s: float
) -> None:
    settings.REALTIME_RENEW_EVERY_SEC = 3_600  # the reaper comes first: it must not take its own for lost
    async with stage() as s:
        page = await s.talking(ada)
        await ask(page)
        elsewhere = await RealtimeSession.objects.acreate(  # lives in another process, which has yet to renew
            id=uuid4(), user=ada, modality="voice", lease_until=leases.lease_end()
        )
        with monkeypatch.context() as clock:
            set_clock(clock, by_s)
            for _round in range(2):
                row = await after_the_next_round(page)
                assert (row.ended_at, row.end_reason) == (None, "")
            await elsewhere.arefresh_from_db()
            assert elsewhere.ended_at is None
            await ask(page)
        await leases_count_again(page)
        await elsewhere.adelete()


async def test_a_token_from_the_future_is_refused_and_a_fresh_one_is_not(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as s:
        page = await s.page(ada)
        with monkeypatch.context() as later:
            set_clock_of_tokens(
                later, -600
            )  # the clock was ahead when the token was minted, and has been put right
            with pytest.raises(InvalidStatus) as refused:
                await page.connect()
            assert refused.value.response.status_code == 403
        assert not s.upstream.connections
        await ask(await s.talking(ada))


async def test_a_token_that_expires_before_it_is_used_opens_nothing(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    async with stage() as s:
        page = await s.page(ada)
        with monkeypatch.context() as later:
            set_clock_of_tokens(later, settings.REALTIME_TOKEN_EXPIRY_SEC + 1)
            with pytest.raises(InvalidStatus) as refused:
                await page.connect()
            assert refused.value.response.status_code == 403
        assert s.cable.accepted == 0
        assert not await RealtimeSession.objects.filter(pk=page.minted["session_id"]).aexists()


async def test_a_token_that_expires_during_the_talk_ends_nothing(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    async with stage() as s:
        page = await s.talking(ada)
        with monkeypatch.context() as later:
            set_clock_of_tokens(later, settings.REALTIME_TOKEN_EXPIRY_SEC + 1)
            await ask(page)
            await ask(page)
