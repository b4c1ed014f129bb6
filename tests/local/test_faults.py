"""Faults by name: each strikes where it is told to, as often as it is told to, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime.local.errors import BadOption
from realtime.local.faults import CATALOGUE, Fault, FaultLine
from realtime.local.server import LocalConfig, LocalServer
from tests.local.talker import Talker

SCRIPT = [{"says": "Here you are.", "audio_ms": 1000}]


def with_faults(*faults: Any) -> LocalServer:
    return LocalServer(LocalConfig(mode="scripted", port=0, script=SCRIPT, faults=faults))


async def ask(talker: Talker) -> None:
    await talker.say("Something, please.")
    await talker.send("response.create")


async def refused(upstream: LocalServer) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        async with Talker(upstream.url):
            pass
    return caught.value


async def closed(talker: Talker) -> tuple[int, str] | None:
    """Code and reason of the close, None for a connection that ended without one."""
    with pytest.raises(ConnectionClosed) as caught:
        await talker.until("never")
    frame = caught.value.rcvd
    return (frame.code, frame.reason) if frame else None


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
async def test_refuse_answers_with_the_status(status: int) -> None:
    async with with_faults({"name": "refuse", "status": status}) as upstream:
        assert (await refused(upstream)).response.status_code == status
        upstream.faults = []
        async with Talker(upstream.url) as talker:
            assert (await talker.next())["type"] == "session.created"


async def test_rate_limited_says_when_to_come_back() -> None:
    async with with_faults({"name": "rate_limited", "retry_after": 7, "times": 1}) as upstream:
        answer = (await refused(upstream)).response
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        async with Talker(upstream.url) as talker:
            assert (await talker.next())["type"] == "session.created"


async def test_stall_sends_nothing_more_but_keeps_the_connection() -> None:
    async with (
        with_faults({"name": "stall", "at": "response.created"}) as upstream,
        Talker(upstream.url) as talker,
    ):
        await ask(talker)
        await talker.until("response.created")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(talker.socket.recv(), 0.2)
        assert upstream.open_count == 1


async def test_a_stalled_handshake_neither_opens_nor_refuses() -> None:
    async with with_faults({"name": "stall", "at": "handshake"}) as upstream:
        opening = Talker(upstream.url)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opening.__aenter__(), 0.2)


async def test_drop_in_the_middle_of_an_answer_comes_without_a_close() -> None:
    fault = {"name": "drop", "at": "response.output_audio.delta", "nth": 2}
    async with with_faults(fault) as upstream:
        async with Talker(upstream.url) as talker:
            await ask(talker)
            assert await closed(talker) is None
            assert len(talker.of_type("response.output_audio.delta")) == 2
        async with Talker(upstream.url) as again:
            await ask(again)
            await again.until("response.done")


async def test_drop_with_a_code_closes_with_it() -> None:
    async with (
        with_faults("drop:after_events=1,code=1011,reason=broken") as upstream,
        Talker(upstream.url) as talker,
    ):
        assert await closed(talker) == (1011, "broken")


async def test_expire_is_an_error_and_then_a_clean_close() -> None:
    async with with_faults({"name": "expire", "after_events": 1}) as upstream, Talker(upstream.url) as talker:
        code, reason = await closed(talker) or (0, "")
        assert (code, reason) == (1001, "Your session hit the maximum duration of 60 minutes.")
        assert talker.events[-1]["error"]["code"] == "session_expired"


async def test_malformed_is_no_json() -> None:
    async with with_faults("malformed:after_events=1") as upstream, Talker(upstream.url) as talker:
        await talker.next()
        with pytest.raises(json.JSONDecodeError):
            await talker.next()


async def test_an_unknown_event_comes_between_known_ones() -> None:
    async with with_faults("unknown_event:at=response.created") as upstream, Talker(upstream.url) as talker:
        await ask(talker)
        await talker.until("response.done")
        place = talker.types().index("response.telepathy.delta")
        assert talker.types()[place - 1] == "response.created"


async def test_flood_sends_its_count_at_once() -> None:
    fault = {"name": "flood", "at": "response.created", "count": 300, "bytes": 100}
    async with with_faults(fault) as upstream, Talker(upstream.url) as talker:
        await ask(talker)
        await talker.until("response.done")
        assert len(talker.of_type("local.flood")) == 300


async def test_slow_delays_every_event_by_its_time() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    config = LocalConfig(mode="scripted", port=0, faults=["slow:ms=300,after_events=1"])
    async with LocalServer(config, sleep=sleep) as upstream, Talker(upstream.url) as talker:
        await talker.next()
        await talker.configure()
        await talker.configure()
    assert slept == [0.3, 0.3]


async def test_faults_can_be_set_while_a_connection_is_open() -> None:
    async with with_faults() as upstream, Talker(upstream.url) as talker:
        await talker.configure()
        upstream.faults = [{"name": "drop", "code": 1012}]
        await talker.send("session.update", session={"type": "realtime"})
        assert await closed(talker) == (1012, "")


def test_a_fault_strikes_as_often_as_it_is_told_to() -> None:
    fault = Fault.parse({"name": "unknown_event", "times": 2, "after_events": 1})
    lines = [FaultLine() for _ in range(3)]  # three connections, four events each
    sent = [len(list(line.actions({"type": "x"}, "{}", [fault]))) for line in lines for _ in range(4)]
    assert sent == [2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_fault_of_the_catalogue_can_be_named_on_the_command_line(name: str) -> None:
    assert Fault.parse(name).name == name


@pytest.mark.parametrize("text", ["explode", "drop:when=now", "refuse:status=200", "stall:ms=soon"])
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(BadOption):
        Fault.parse(text)
