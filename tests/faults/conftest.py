"""Fixtures of the fault suite: server, scaled timers, stage, and the checker that runs at the end of each test."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from realtime import admission, conf, journal, upstream
from realtime.conf import RelayConfig
from realtime.local.server import LocalConfig, LocalServer
from realtime.switchboard import get_switchboard
from tests.faults.checker import Checker
from tests.faults.proxy import FaultProxy
from tests.faults.servers import SERVERS
from tests.faults.stage import Stage
from tests.realtime.conftest import Site, judge
from tests.realtime.page import Page
from voiceproject.env import Secret

KEY = "sk-canary-5d1f0c9be2a74e0f"
INSTRUCTIONS = "Canary instructions that no page may read."
SCRIPT = [
    {"hears": "What is the meaning of it?", "says": "Forty-two is what they told me.", "audio_ms": 1_000}
]
PATIENT = {"heartbeat_ms": 90_000}  # pages of tests do not ping, and a busy machine may be slow
StageMaker = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> str:
    """The server before the relay; each test runs on all of them."""
    return request.param


@pytest.fixture
def stage(
    transactional_db: None,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    server: str,
) -> StageMaker:
    """`async with stage(script, timers={...}, **LocalConfig fields) as s:`; leaving the block runs the checker.

    `timers` are RelayConfig fields. The timers of the doors are scaled for all tests, see `scale_timers`.
    """
    # Importing the application configures logging, which takes away what listens for `caplog`: so it comes first.
    importlib.import_module("voiceproject.asgi")
    scale_timers(monkeypatch)
    settings.REALTIME_RENEW_EVERY_SEC = settings.REALTIME_REAP_EVERY_SEC = 0.2
    settings.OPENAI_API_KEY = Secret(KEY)
    settings.REALTIME_INSTRUCTIONS = INSTRUCTIONS
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "realtime")

    @contextlib.asynccontextmanager
    async def make(
        script: list[dict[str, Any]] | None = None,
        *,
        timers: dict[str, Any] | None = None,
        tls: Any = None,
        wifi_buffer_bytes: int | None = None,
        **config: Any,
    ) -> AsyncIterator[Stage]:
        numbers: dict[str, Any] = {**PATIENT}

        def scaled(*args: Any, **fields: Any) -> RelayConfig:
            return replace(conf.relay_config(*args, **fields), **numbers)

        monkeypatch.setattr(admission, "relay_config", scaled)
        async with contextlib.AsyncExitStack() as stack:
            calm = await stack.enter_async_context(
                LocalServer(LocalConfig(mode="scripted", script=[{"says": "I heard nothing of it."}], port=0))
            )
            faulty = await stack.enter_async_context(
                LocalServer(LocalConfig(mode="scripted", script=script or SCRIPT, port=0, **config))
            )
            port = await stack.enter_async_context(SERVERS[server]())
            stack.push_async_callback(lambda: get_switchboard().drain(sentence_s=0, save_s=5))
            cable = await stack.enter_async_context(FaultProxy(_port_of(faulty), tls=tls))
            wifi = await stack.enter_async_context(FaultProxy(port, buffer_bytes=wifi_buffer_bytes))
            site = Site(port, faulty)
            canary = await _canary(site, calm, settings)
            numbers.update(timers or {})
            settings.REALTIME_BASE_URL = f"{'wss' if tls else 'ws'}://localhost:{cable.port}/v1/realtime"
            checker = Checker(
                switchboard=get_switchboard(), upstream=faulty, canary=canary, records=caplog.records
            )
            checker.secrets = {KEY, INSTRUCTIONS}
            await checker.canary_answers()
            await checker.note_base_line()
            stage = Stage(site, faulty, wifi, cable, checker)
            yield stage
            await _check(stage)
            judge(faulty)

    return make


def scale_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths, so that no test waits as long as a person would. Tests state the real bounds."""
    monkeypatch.setattr(upstream, "CLOSE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(journal, "PAUSE_S", 0.01)
    monkeypatch.setattr(journal, "RETRY_S", (0.05,))


def _port_of(server: LocalServer) -> int:
    return int(server.url.split(":")[2].split("/")[0])


async def _canary(site: Site, calm: LocalServer, settings: Any) -> Page:
    settings.REALTIME_BASE_URL = calm.url
    bystander = await sync_to_async(User.objects.create_user)(
        "canary", "canary@example.com", "canary-secret-1"
    )
    page = await site.page(bystander, modality="text")
    await page.connect()
    await page.until("state", state="listening")
    return page


async def _check(stage: Stage) -> None:
    """Everything of the checker, in the order in which a talk ends."""
    checker = stage.checker
    await checker.canary_answers()
    await checker.sockets_match_sessions()
    for page in stage.pages:
        await page.__aexit__()
    canary_id = checker.canary.minted["session_id"]
    owners = {r.user_id for key, r in stage.switchboard.relays.items() if str(key) != canary_id}
    for user_id in owners:
        stage.switchboard.end_user(user_id, "revoked")
    await checker.nothing_is_left_open()
    await checker.what_is_stored([*stage.pages, checker.canary])
    await checker.nothing_is_told([*stage.pages, checker.canary])
    await checker.canary_answers()
    await checker.canary.__aexit__()
