"""SIGTERM: pages are told, the sentence under way is finished, everything is saved, and nobody can hold up the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.realtime.page import Page, eventually, silence, tone
from tests.serve.raw_socket import RawSocket
from tests.serve.site_process import Rows, SiteProcess

END_S = 20.0
ANSWER = [{"hears": "Tell me a story.", "says": "Once upon a time.", "audio_ms": 600}]


@contextlib.asynccontextmanager
async def running(folder: Path, server: str, upstream: Any, **settings: Any) -> Any:
    """A site process, started and ended off the loop: the upstream lives on this one."""
    site = SiteProcess(folder, server, upstream.url, **settings)
    await asyncio.to_thread(site.__enter__)
    try:
        yield site
    finally:
        await asyncio.to_thread(site.__exit__)


async def new_page(site: SiteProcess, bearer: str, **fields: Any) -> Page:
    return Page(await asyncio.to_thread(site.mint, bearer, **fields))


async def raw_page(site: SiteProcess, token: str, **options: Any) -> RawSocket:
    """A page's socket, accepted, on which nothing was said yet."""
    return await asyncio.to_thread(
        RawSocket, site.port, "/ws/realtime/", subprotocols=f"voice.v1, t.{token}", **options
    )


async def end_of(site: SiteProcess, number: int = signal.SIGTERM) -> float:
    return await asyncio.to_thread(site.ended_after, site.signal(number))


def has_no_traceback(site: SiteProcess) -> bool:
    return not any(
        sign in site.output for sign in ("Traceback", "never retrieved", "never awaited", "destroyed")
    )


async def test_fifty_live_sessions_end_clean(folder: Path, server: str, make_upstream: Any) -> None:
    upstream = await make_upstream(ANSWER)
    async with running(folder, server, upstream) as site, contextlib.AsyncExitStack() as stack:
        bearer = await asyncio.to_thread(site.log_in)
        pages = [await stack.enter_async_context(await new_page(site, bearer)) for _ in range(50)]
        await asyncio.gather(*(page.until("ready") for page in pages))
        for page in pages[:10]:  # some in the middle of a turn
            await page.speak(tone(400) + silence(900))
        listening = asyncio.gather(*(page.until_closed() for page in pages))
        took_s = await end_of(site)
        codes = await listening

        assert site.process.returncode == 0, site.output
        assert took_s < END_S
        assert set(codes) == {4503}
        for page in pages:
            assert len(page.of("draining")) == 1
            assert page.of("ended")[0]["reason"] == "draining"
        assert Rows(folder).end_reasons() == {"draining": 50}
        assert Rows(folder).active() == 0
        said = {message["message_id"] for page in pages for message in page.of("message.saved")}
        assert said <= Rows(folder).message_ids()
        assert "pending" not in Rows(folder).statuses()
        await eventually(lambda: upstream.open_count == 0)
        assert has_no_traceback(site), site.output


async def test_the_sentence_under_way_is_heard_to_its_end(
    folder: Path, server: str, make_upstream: Any
) -> None:
    upstream = await make_upstream([{"hears": "Go on.", "says": "To the end.", "audio_ms": 3_000}], pace=1)
    async with running(folder, server, upstream) as site:
        bearer = await asyncio.to_thread(site.log_in)
        async with await new_page(site, bearer) as page:
            await page.until("ready")
            await page.speak(tone(400) + silence(900))
            item_id = (await page.until("audio.begin"))["item_id"]
            ending = asyncio.create_task(end_of(site))
            assert await page.until_closed() == 4503
            assert await ending < END_S
            kinds = [message["type"] for message in page.received]
            assert kinds.index("draining") < kinds.index("audio.end") < kinds.index("ended")
            assert len(page.audio[item_id]) == 3_000 * 48
        assert Rows(folder).statuses() == {"completed": 2}
        assert site.process.returncode == 0


async def test_a_sentence_without_end_is_cut_at_the_bound(
    folder: Path, server: str, make_upstream: Any
) -> None:
    upstream = await make_upstream(
        [{"hears": "Go on.", "says": "And on and on.", "audio_ms": 60_000}], pace=1
    )
    async with running(folder, server, upstream, REALTIME_DRAIN_SENTENCE_SEC=1) as site:
        bearer = await asyncio.to_thread(site.log_in)
        async with await new_page(site, bearer) as page:
            await page.until("ready")
            await page.speak(tone(400) + silence(900))
            await page.until("audio.begin")
            ending = asyncio.create_task(end_of(site))
            assert await page.until_closed() == 4503
            assert await ending < END_S - 9  # the nine seconds that the shorter bound gives back
        assert Rows(folder).end_reasons() == {"draining": 1}
        assert Rows(folder).statuses() == {"completed": 1, "interrupted": 1}


async def test_peers_with_no_manners_hold_up_nobody(folder: Path, server: str, make_upstream: Any) -> None:
    upstream = await make_upstream(ANSWER)
    async with running(folder, server, upstream) as site, contextlib.AsyncExitStack() as stack:
        bearer = await asyncio.to_thread(site.log_in)
        honest = await stack.enter_async_context(await new_page(site, bearer))
        await honest.until("ready")
        half_sent = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
        half_sent.sendall(b"POST /api/token/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
        half_body = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
        half_body.sendall(b"POST /api/token/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{")
        stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))  # says nothing at all
        for path in ("/flood", "/deaf", "/left"):
            stack.enter_context(await asyncio.to_thread(RawSocket, site.port, path))
        token = (await asyncio.to_thread(site.mint, bearer))["token"]
        stack.enter_context(await raw_page(site, token))  # open, and never says hello

        listening = asyncio.create_task(honest.until_closed())
        took_s = await end_of(site)
        assert await listening == 4503
        assert site.process.returncode == 0, site.output
        assert took_s < END_S
        assert Rows(folder).end_reasons() == {"draining": 2}  # the silent one's, too
        assert Rows(folder).active() == 0
        assert "Traceback" not in site.output


async def test_a_page_that_does_not_read_is_saved_and_left_behind(
    folder: Path, server: str, make_upstream: Any
) -> None:
    upstream = await make_upstream([{"hears": "Go on.", "says": "On and on.", "audio_ms": 600_000}])
    async with running(folder, server, upstream, REALTIME_DRAIN_SENTENCE_SEC=1) as site:
        bearer = await asyncio.to_thread(site.log_in)
        token = (await asyncio.to_thread(site.mint, bearer))["token"]
        with await raw_page(site, token, receive_bytes=4_096) as raw:
            hello = {
                "type": "hello",
                "played": None,
                "received": None,
                "uplink_samples": 24_000 * 5,
                "client": {},
            }
            raw.send(json.dumps(hello).encode().ljust(200), text=True)
            for _ in range(40):
                raw.send(tone(20))
            for _ in range(60):
                raw.send(silence(20))
            await eventually(lambda: upstream.connections and "completed" in Rows(folder).statuses())
            took_s = await end_of(site)
        assert site.process.returncode == 0, site.output
        assert took_s < END_S
        assert Rows(folder).end_reasons() == {"draining": 1}


async def test_a_second_signal_ends_it_at_once(folder: Path, server: str, make_upstream: Any) -> None:
    upstream = await make_upstream(
        [{"hears": "Go on.", "says": "And on and on.", "audio_ms": 60_000}], pace=1
    )
    async with running(folder, server, upstream) as site:
        bearer = await asyncio.to_thread(site.log_in)
        async with await new_page(site, bearer) as page:
            await page.until("ready")
            await page.speak(tone(400) + silence(900))
            await page.until("audio.begin")
            site.signal(signal.SIGINT)
            await page.until("draining")
            assert await end_of(site, signal.SIGINT) < 5
            assert site.process.returncode == 128 + signal.SIGINT
            with contextlib.suppress(ConnectionClosed):
                await page.until("ended")
                pytest.fail("the sentence was not waited for")


async def test_what_a_locked_database_refuses_at_the_end_is_there_after_the_next_start(
    folder: Path, server: str, make_upstream: Any
) -> None:
    upstream = await make_upstream(ANSWER)
    async with running(folder, server, upstream, REALTIME_LEASE_SEC=300) as site:
        bearer = await asyncio.to_thread(site.log_in)
        async with await new_page(site, bearer) as page:
            await page.until("ready")
            database = sqlite3.connect(folder / "db.sqlite3", isolation_level=None)
            try:
                database.execute("BEGIN IMMEDIATE")
                await page.speak(tone(400) + silence(900))
                await page.until("audio.end")
                took_s = await end_of(site)
            finally:
                database.close()
        assert site.process.returncode == 0, site.output
        assert took_s < END_S
        assert page.of("message.saved") == []  # it was not, and nobody said so
        assert Rows(folder).active() == 1
    assert list((folder / "spill").glob("*.jsonl"))

    async with running(folder, server, upstream) as site:  # no page comes, no session starts
        assert not list((folder / "spill").glob("*"))
        assert Rows(folder).end_reasons() == {"draining": 1}
        assert Rows(folder).statuses() == {"completed": 2}
