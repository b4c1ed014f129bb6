"""The upstream's socket on each library that it may stand on: the same promises."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from realtime import upstream
from realtime.conf import RelayConfig
from realtime.exceptions import UpstreamLost, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from tests.faults.certificates import Authority
from tests.faults.proxy import FaultProxy
from tests.realtime.page import eventually, silence, tone

DEADLINE_S = 20


@pytest.fixture(params=["websockets", "picows"])
def library(request: pytest.FixtureRequest, settings: Any) -> str:
    """The library under the upstream's socket."""
    if request.param == "picows":
        pytest.importorskip("picows")
    settings.REALTIME_UPSTREAM_LIBRARY = request.param
    return request.param


@asynccontextmanager
async def peer(
    library: str, talk: Callable[[ServerConnection], Any], **options: Any
) -> AsyncIterator[RelayConfig]:
    """A WebSocket server that talks like that to whoever connects, and the configuration that dials it."""
    async with serve(talk, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield RelayConfig(
            f"ws://127.0.0.1:{port}/", "model", "voice", "", api_key="sk-test", upstream_library=library
        )


async def read_all(link: upstream.UpstreamLink) -> tuple[list[bytes], UpstreamLost]:
    """What comes until the connection ends, and how it ended."""
    got: list[bytes] = []
    with pytest.raises(UpstreamLost) as lost:
        async with asyncio.timeout(DEADLINE_S):
            await link.read(got.append)
    return got, lost.value


async def send_for_ever(link: upstream.UpstreamLink) -> None:
    """Until it is refused."""
    while True:
        await link.send(b"x" * 100_000)


async def test_what_is_sent_arrives_in_order_and_what_comes_is_handed_over(library: str) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for text in socket:
            assert isinstance(text, str)
            await socket.send(text)

    async with peer(library, echo) as config, upstream.open_upstream(config) as link:
        assert (link.try_send is not None) == (library == "picows")
        for number in range(100):
            text = f"{number}".encode()
            if link.try_send is None or not link.try_send(text):
                await link.send(text)
        got: list[bytes] = []

        def take(raw: bytes) -> bool:
            got.append(raw)
            return len(got) == 100

        async with asyncio.timeout(DEADLINE_S):
            await link.read(take)
        assert got == [f"{number}".encode() for number in range(100)]


@pytest.mark.parametrize("count", [10, 500])
async def test_what_comes_after_enough_waits_for_the_next_read(library: str, count: int) -> None:
    async def talk(socket: ServerConnection) -> None:
        for number in range(count):
            await socket.send(str(number))
        await socket.close(1001)

    async with peer(library, talk) as config, upstream.open_upstream(config) as link:
        first: list[bytes] = []
        await link.read(lambda raw: first.append(raw) or raw == b"3")
        assert first == [b"0", b"1", b"2", b"3"]
        rest, lost = await read_all(link)
        assert rest == [str(number).encode() for number in range(4, count)]
        assert lost.close_code_seen == 1001


async def test_a_message_in_several_frames_is_one(library: str) -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send(["one ", "and ", "two"])
        await socket.wait_closed()

    async with peer(library, talk) as config, upstream.open_upstream(config) as link:
        got: list[bytes] = []
        async with asyncio.timeout(DEADLINE_S):
            await link.read(lambda raw: got.append(raw) or True)
        assert got == [b"one and two"]


async def test_a_message_without_end_ends_the_connection(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "MAX_MESSAGE_BYTES", 10_000)

    async def talk(socket: ServerConnection) -> None:
        await socket.send(["x" * 3_000] * 20)
        await socket.wait_closed()

    async with peer(library, talk) as config, upstream.open_upstream(config) as link:
        assert (await read_all(link))[0] == []


async def test_what_the_reader_raises_comes_out_of_the_read(library: str) -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.send("boom")
        await socket.wait_closed()

    def take(raw: bytes) -> None:
        raise LookupError(len(raw))

    async with peer(library, talk) as config, upstream.open_upstream(config) as link:
        with pytest.raises(LookupError):
            async with asyncio.timeout(DEADLINE_S):
                await link.read(take)


async def test_a_peer_that_does_not_read_counts_as_lost(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "SEND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(upstream, "CLOSE_TIMEOUT_S", 0.3)
    asleep = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await asleep.wait()
        socket.transport.abort()

    async with peer(library, talk) as config, upstream.open_upstream(config) as link:
        with pytest.raises(UpstreamLost):
            await asyncio.wait_for(send_for_ever(link), DEADLINE_S)
        assert link.try_send is None or not link.try_send(b"more")
        asleep.set()


async def test_a_refusal_has_its_status_and_its_wait_and_no_redirect_is_followed(library: str) -> None:
    seen: list[str | None] = []

    def refuse(socket: ServerConnection, request: Any) -> Any:
        seen.append(request.headers.get("Authorization"))
        answer = socket.respond(429 if len(seen) == 1 else 302, "no")
        answer.headers["Retry-After"] = "7"
        answer.headers["Location"] = "/elsewhere"
        return answer

    async with peer(library, lambda socket: None, process_request=refuse) as config:
        for status in (429, 302):
            with pytest.raises(UpstreamRefused) as refused:
                async with upstream.open_upstream(config):
                    pass
            assert refused.value.status == status
            assert refused.value.retry_after_s == 7
    assert seen == ["Bearer sk-test"] * 2


async def test_nobody_there_is_unreachable(library: str) -> None:
    async with peer(library, lambda socket: None) as config:
        pass
    with pytest.raises(UpstreamUnreachable):
        async with upstream.open_upstream(config):
            pass


@pytest.mark.parametrize("silent", [True, False])
async def test_a_peer_that_never_answers_is_given_up_and_let_go(
    library: str, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "OPEN_TIMEOUT_S", 0.3)
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if silent:
            while await reader.read(1_000):
                pass
        writer.close()
        left.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = RelayConfig(f"ws://127.0.0.1:{port}/", "model", "voice", "", upstream_library=library)
        with pytest.raises(UpstreamTimeout if silent else UpstreamUnreachable):
            async with upstream.open_upstream(config):
                pass
        async with asyncio.timeout(DEADLINE_S):
            await left.wait()


async def test_closing_twice_is_nothing_and_ends_the_peers_side(library: str) -> None:
    closed: list[int | None] = []

    async def talk(socket: ServerConnection) -> None:
        await socket.wait_closed()
        closed.append(socket.close_code)

    async with peer(library, talk) as config:
        async with upstream.open_upstream(config) as link:
            await link.close()
            await link.close()
            with pytest.raises(UpstreamLost):
                await link.send(b"late")
        await eventually(lambda: closed)
    assert closed == [1000]


async def test_a_spoken_question_is_answered_on_each(library: str, make_site: Any, ada: Any) -> None:
    site = await make_site([{"hears": "Hello there.", "says": "Hello to you.", "audio_ms": 900}])
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.speak(tone(400) + silence(900))
        ended = await page.until("audio.end")
        assert len(page.audio[ended["item_id"]]) == 900 * 48
        await page.say("session.end")
        assert await page.until_closed() == 1000


async def test_a_pong_that_waits_behind_speech_on_a_slow_cable_ends_nothing(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "PING_INTERVAL_S", 0.5)
    monkeypatch.setattr(upstream, "PING_TIMEOUT_S", 0.5)

    async def talk(socket: ServerConnection) -> None:
        for number in range(45):
            await socket.send(f"{number:03}" + "x" * 997)
        await socket.close(1001)

    async with peer(library, talk) as config:
        port = urlsplit(config.upstream_url).port
        assert port is not None
        async with FaultProxy(port) as cable:
            cable.back.bytes_per_s, cable.back.slice_bytes = 30_000, 500
            slow = replace(config, upstream_url=f"ws://127.0.0.1:{cable.port}/")
            async with upstream.open_upstream(slow) as link:
                got, lost = await read_all(link)
    assert [int(text[:3]) for text in got] == list(range(45))
    assert lost.close_code_seen == 1001


async def test_a_peer_that_says_nothing_but_answers_pings_is_kept(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "PING_INTERVAL_S", 0.5)
    monkeypatch.setattr(upstream, "PING_TIMEOUT_S", 0.5)

    async def talk(socket: ServerConnection) -> None:
        await asyncio.sleep(1.3)  # a ping, and the time for its answer
        await socket.send("still there")
        await socket.close(1001)

    async with peer(library, talk) as config, upstream.open_upstream(config) as link:
        got, lost = await read_all(link)
    assert got == [b"still there"]
    assert lost.close_code_seen == 1001


async def test_a_peer_that_falls_silent_is_lost_in_time(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "PING_INTERVAL_S", 0.2)
    monkeypatch.setattr(upstream, "PING_TIMEOUT_S", 0.2)
    monkeypatch.setattr(upstream, "CLOSE_TIMEOUT_S", 0.2)

    async def talk(socket: ServerConnection) -> None:
        await socket.send("the last word")
        await socket.wait_closed()

    async with peer(library, talk) as config:
        port = urlsplit(config.upstream_url).port
        assert port is not None
        async with FaultProxy(port) as cable:
            silent = replace(config, upstream_url=f"ws://127.0.0.1:{cable.port}/")
            async with upstream.open_upstream(silent) as link:
                await link.read(lambda raw: raw == b"the last word")
                cable.stall()
                async with asyncio.timeout(5):
                    assert (await read_all(link))[1].close_code_seen is None


async def test_a_read_that_is_stopped_returns_and_the_connection_stays(library: str) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for text in socket:
            await socket.send(text)

    async with peer(library, echo) as config, upstream.open_upstream(config) as link:
        reading = asyncio.create_task(link.read(lambda _: None))
        await asyncio.sleep(0)
        link.stop()
        async with asyncio.timeout(DEADLINE_S):
            await reading
            await link.send(b"still there")
            await link.read(lambda text: text == b"still there")


async def test_a_read_that_is_cancelled_says_so(library: str) -> None:
    async def say_nothing(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with peer(library, say_nothing) as config, upstream.open_upstream(config) as link:
        reading = asyncio.create_task(link.read(lambda _: None))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(DEADLINE_S):
                await reading


async def test_a_burst_grows_the_buffers_of_picows_by_no_more_than_the_kernel_hands_over_at_once() -> None:
    pytest.importorskip("picows")
    from realtime.upstream_picows import RECEIVE_BUFFER_BYTES, PicowsLink

    async def say_nothing(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with peer("picows", say_nothing) as config, upstream.open_upstream(config) as link:
        assert isinstance(link, PicowsLink)
        assert link._transport is not None
        plain = link._transport.underlying_transport.get_extra_info("socket")
        # Linux tells twice what was asked for: its own bookkeeping comes on top.
        assert plain.getsockopt(SOL_SOCKET, SO_RCVBUF) <= 2 * RECEIVE_BUFFER_BYTES


def test_all_connections_share_what_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each would read a hundred and more authorities anew, on the event loop, and hold them as long as it lives."""
    assert upstream.tls_for("ws://127.0.0.1/") is None
    trusted = upstream.tls_for("wss://one.example/")
    assert trusted is not None
    assert trusted.verify_mode is ssl.CERT_REQUIRED
    assert trusted.check_hostname
    assert upstream.tls_for("wss://another.example/") is trusted
    others = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(others.trust))
    assert upstream.tls_for("wss://one.example/") is not trusted
