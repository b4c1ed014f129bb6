"""An upstream that cannot be reached: F5 to F7. Never an unverified connection, never a wait without an end."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from conversations.models import Message
from realtime import upstream
from realtime.conf import RelayConfig
from tests.faults.certificates import Authority
from tests.faults.conftest import StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import ask


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@taking_turns("trouble", ["unknown authority", "expired", "another host"])
async def test_a_certificate_that_does_not_hold_is_never_talked_to(
    stage: StageMaker, ada: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble != "unknown authority":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.trust))
    host = "elsewhere.example" if trouble == "another host" else "localhost"
    async with stage(tls=authority.context(host, expired=trouble == "expired")) as s:
        page = await s.page(ada)
        await page.connect()
        async with asyncio.timeout(5):
            error = await page.until("error")
        assert (error["code"], error["retryable"]) == ("upstream.untrusted", False)
        assert await page.until_closed() == 4502
        assert not s.upstream.connections
        assert s.cable.accepted <= 1  # not tried again, and not without TLS


async def test_a_certificate_that_holds_is_talked_to(
    stage: StageMaker, ada: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.trust))
    async with stage(tls=authority.context("localhost")) as s:
        await ask(await s.talking(ada))


@taking_turns("trouble", ["no such name", "closed port"])
async def test_an_upstream_that_is_not_there_is_told_and_what_was_typed_is_kept(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    looked_up: list[Any] = []
    real = socket.getaddrinfo

    def no_such_name(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "localhost":
            looked_up.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    async with stage(timers={"connect_deadline_ms": 1_500}) as s:
        if trouble == "no such name":
            monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
        else:
            s.cable.target_port, s.cable.down = 1, True
        page = await s.page(ada, modality="text")
        await page.connect()
        ready = await page.until("ready")
        assert ready["state"] == "connecting"
        await page.say("input.text", text="Is anybody there at all?", client_id="c1")
        async with asyncio.timeout(5):
            error = await page.until("error")
        assert (error["code"], error["retryable"]) == ("upstream.unreachable", True)
        assert await page.until_closed() == 4502
        assert len(looked_up) + s.cable.accepted >= 2  # tried more than once
        await s.switchboard.journal.flush(5)
        kept = await sync_to_async(
            lambda: list(Message.objects.filter(session_id=page.minted["session_id"]))
        )()
        assert [(m.text, m.status) for m in kept] == [("Is anybody there at all?", "unanswered")]


async def test_an_upstream_that_accepts_and_says_nothing_is_given_up_in_time(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert upstream.OPEN_TIMEOUT_S <= 8
    assert RelayConfig("", "", "", "").connect_deadline_ms <= 9_000
    monkeypatch.setattr(upstream, "OPEN_TIMEOUT_S", 0.5)
    async with stage(timers={"connect_deadline_ms": 1_200}) as s:
        s.cable.stall()
        page = await s.page(ada)
        await page.connect()
        assert (await page.until("ready"))["state"] == "connecting"
        async with asyncio.timeout(5):
            error = await page.until("error")
        assert (error["code"], error["retryable"]) == ("upstream.timeout", True)
        assert await page.until_closed() == 4504
        s.cable.heal()


async def test_an_upstream_that_never_takes_the_configuration_is_given_up_in_time(
    stage: StageMaker, ada: Any
) -> None:
    async with stage(timers={"configure_deadline_ms": 400}) as s:
        s.upstream.faults = [{"name": "stall", "at": "session.created"}]
        page = await s.page(ada)
        await page.connect()
        async with asyncio.timeout(5):
            error = await page.until("error")
        assert error["code"] == "upstream.timeout"
        assert await page.until_closed() == 4504
