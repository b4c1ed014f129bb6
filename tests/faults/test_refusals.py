"""An upstream that says no: F1 to F4. What the person is told, how often we try, and who else is spared the try."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime import breaker
from realtime.conf import RelayConfig
from realtime.models import RealtimeSession
from tests.faults.conftest import KEY, StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import Stage, ask
from tests.realtime.page import Page


async def end_reason(s: Stage, page: Page) -> str:
    """Why the session of a page ended, as stored."""
    await s.switchboard.journal.flush(5)
    return (await RealtimeSession.objects.aget(pk=page.minted["session_id"])).end_reason


@taking_turns("status", [401, 403])
async def test_a_refused_key_is_told_at_once_and_spares_the_next_person_the_try(
    stage: StageMaker, ada: Any, bob: Any, status: int
) -> None:
    async with stage() as s:
        s.upstream.faults = [{"name": "refuse", "status": status}]
        page = await s.page(ada)
        await page.connect()
        error = await page.until("error")
        assert (error["code"], error["retryable"]) == ("upstream.auth", False)
        assert await page.until_closed() == 4502
        assert await end_reason(s, page) == "upstream_auth"
        other = await s.page(bob)
        await other.connect()
        assert (await other.until("error"))["code"] == "upstream.auth"
        assert await other.until_closed() == 4502
        assert s.cable.accepted == 1  # one try for both


async def test_what_a_refusal_quotes_of_the_key_is_told_nobody(stage: StageMaker, ada: Any) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert KEY.encode() in request
        body = f"Incorrect API key provided: {KEY}"
        writer.write(f"HTTP/1.1 401 No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with stage() as s, await asyncio.start_server(refuse, "127.0.0.1", 0) as elsewhere:
        s.cable.target_port = elsewhere.sockets[0].getsockname()[1]
        s.checker.secrets.add("Incorrect API key")  # the log would mask the key itself
        page = await s.page(ada)
        await page.connect()
        assert (await page.until("error"))["code"] == "upstream.auth"
        assert await page.until_closed() == 4502
    # That it is in no log, no message and no table is seen after each fault.


async def test_an_unknown_model_is_told_at_once_and_not_tried_again(
    stage: StageMaker, ada: Any, bob: Any
) -> None:
    async with stage() as s:
        s.upstream.faults = [{"name": "refuse", "status": 404}]
        for person in (ada, bob):
            page = await s.page(person)
            await page.connect()
            error = await page.until("error")
            assert (error["code"], error["retryable"]) == ("upstream.config", False)
            assert await page.until_closed() == 4502
            assert await end_reason(s, page) == "upstream_config"
        assert s.cable.accepted == 1  # one try for both


async def test_a_redirect_is_a_refusal_and_the_key_goes_nowhere_else(stage: StageMaker, ada: Any) -> None:
    requests: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        port = writer.get_extra_info("sockname")[1]
        head = f"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:{port}/elsewhere\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        writer.close()

    async with stage() as s, await asyncio.start_server(redirect, "127.0.0.1", 0) as elsewhere:
        s.cable.target_port = elsewhere.sockets[0].getsockname()[1]
        page = await s.page(ada)
        await page.connect()
        assert (await page.until("error"))["code"] == "upstream.config"
        assert await page.until_closed() == 4502
        assert len(requests) == 1


async def test_a_busy_upstream_is_tried_again_after_the_time_it_asks_for(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        s.upstream.faults = [{"name": "rate_limited", "retry_after": 0.3, "times": 2}]
        page = await s.page(ada)
        began_s = asyncio.get_running_loop().time()
        await page.connect()
        await page.until("state", state="listening")
        assert asyncio.get_running_loop().time() - began_s >= 0.6
        assert s.cable.accepted == 3
        assert (await ask(page))[0]["text"] == "Forty-two is what they told me."


@pytest.mark.parametrize(("retry_after", "tries"), [(0.1, 3), (30, 1)])
async def test_a_limit_that_lasts_is_told_with_the_exact_time(
    stage: StageMaker, ada: Any, retry_after: float, tries: int
) -> None:
    async with stage() as s:
        s.upstream.faults = [{"name": "rate_limited", "retry_after": retry_after}]
        page = await s.page(ada)
        await page.connect()
        error = await page.until("error")
        assert (error["code"], error["retry_after"]) == ("upstream.rate_limited", retry_after)
        assert error["retryable"] is True
        assert await page.until_closed() == 4429
        assert s.cable.accepted == tries


@taking_turns("status", [500, 502, 503])
async def test_a_failing_upstream_is_tried_within_a_bound_and_then_told(
    stage: StageMaker, ada: Any, status: int
) -> None:
    assert RelayConfig("", "", "", "").connect_deadline_ms <= 9_000
    async with stage(timers={"connect_deadline_ms": 1_500}) as s:
        s.upstream.faults = [{"name": "refuse", "status": status}]
        page = await s.page(ada)
        await page.connect()
        async with asyncio.timeout(5):
            error = await page.until("error")
        assert (error["code"], error["retryable"]) == ("upstream.failed", True)
        assert await page.until_closed() == 4502
        assert 2 <= s.cable.accepted <= 6
        assert await end_reason(s, page) == "upstream_failed"


async def test_an_upstream_that_fails_everybody_is_left_alone_and_probed(
    stage: StageMaker, ada: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FAILURES", 3)
    monkeypatch.setattr(breaker, "PROBE_EVERY_S", 60.0)
    async with stage(timers={"connect_deadline_ms": 2_000}) as s:
        s.upstream.faults = [{"name": "refuse", "status": 503}]
        page = await s.page(ada)
        await page.connect()
        assert (await page.until("error"))["code"] == "upstream.failed"
        await page.until_closed()
        while (
            s.switchboard.breaker.error is None
        ):  # chance left the first too few tries: the next one adds some
            page = await s.page(ada)
            await page.connect()
            await page.until_closed()
        tried = s.cable.accepted
        third = await s.page(bob)
        await third.connect()
        assert (await third.until("error"))["code"] == "upstream.failed"
        assert s.cable.accepted == tried  # nobody dials while it is open
        s.upstream.faults = []
        s.switchboard.breaker.next_probe_s = 0.0  # the time of the next probe has come
        fourth = await s.talking(bob)
        assert s.cable.accepted == tried + 1
        assert (await ask(fourth))[0]["text"] == "Forty-two is what they told me."
