"""A page that goes away, sleeps, flaps or does not read: F17 to F22. Its talk waits for it, within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from conversations.models import Message
from realtime.conf import RelayConfig
from realtime.models import RealtimeSession, SessionEvent
from tests.faults.conftest import StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import QUESTION, Stage, ask
from tests.realtime.page import Page, eventually, tone

TALK = [
    {"hears": "Tell me a story.", "says": "Once upon a time there was a relay.", "audio_ms": 5_000},
    {"hears": "And then what?", "says": "Then it was told again.", "audio_ms": 500},
]
DEFAULTS = RelayConfig("", "", "", "")


async def stored(page: Page) -> list[tuple[str, str, str]]:
    """Role, status and text of the conversation's messages, in order."""
    of = page.minted["conversation_id"]
    rows = Message.objects.filter(conversation_id=of).in_order().values_list("role", "status", "text")
    return await sync_to_async(lambda: list(rows))()


async def row(s: Stage, page: Page) -> RealtimeSession:
    """The stored session."""
    await s.switchboard.journal.flush(5)
    return await RealtimeSession.objects.aget(pk=page.minted["session_id"])


@taking_turns("how", ["rst", "fin", "close frame"])
async def test_a_tab_closed_in_mid_utterance_is_noticed_at_once_and_paid_for_no_longer_than_the_grace(
    stage: StageMaker, ada: Any, how: str
) -> None:
    assert DEFAULTS.resume_grace_ms <= 60_000
    async with stage(TALK, timers={"resume_grace_ms": 800}) as s:
        page = await s.talking(ada)
        await page.speak(tone(800))
        await page.until("speech.started")
        relay = s.relay_of(page)
        if how == "rst":
            s.wifi.reset_peers()
        elif how == "fin":
            s.wifi.close_peers()
        else:
            await page.__aexit__()
        async with asyncio.timeout(2):
            await eventually(lambda: relay.link is None)
        assert s.upstream.open_count == 1  # within the grace it may come back
        await eventually(lambda: s.upstream.open_count == 0)
        assert (await row(s, page)).end_reason == "browser_gone"
        events = SessionEvent.objects.filter(session_id=page.minted["session_id"], name="browser.gone")
        assert await events.acount() == 1
        assert "response.create" not in [e["type"] for e in s.upstream.connections[0].received]


async def test_an_explicit_end_closes_the_upstream_at_once(stage: StageMaker, ada: Any) -> None:
    async with stage(TALK) as s:
        page = await s.talking(ada)
        await page.speak(QUESTION)
        await page.until("audio.begin")
        page.plays = False
        await page.say("session.end")
        async with asyncio.timeout(2):
            await eventually(lambda: s.upstream.open_count == 0)
        assert await page.until_closed() == 1000


async def test_a_page_that_fell_silent_is_let_go_and_its_talk_kept(stage: StageMaker, ada: Any) -> None:
    assert DEFAULTS.heartbeat_ms <= 15_000
    async with stage(TALK, timers={"heartbeat_ms": 2_500}) as s:
        page = await s.talking(ada)
        relay = s.relay_of(page)
        s.wifi.stall()
        await eventually(lambda: relay.link is None)
        assert not relay.finished.is_set()
        assert s.upstream.open_count == 1
        s.wifi.heal()
        assert await page.until_closed() == 4408


async def test_a_laptop_that_slept_takes_up_its_talk_without_a_double_turn(
    stage: StageMaker, ada: Any
) -> None:
    async with stage(TALK, timers={"heartbeat_ms": 2_500}) as s:
        page = await s.talking(ada)
        await ask(page)
        relay = s.relay_of(page)
        s.wifi.stall()
        await eventually(lambda: relay.link is None)
        s.wifi.heal()
        await page.until_closed()
        ready = await s.resume(ada, page)
        assert ready["resumed"] is True
        await ask(page)
        await s.switchboard.journal.flush(5)
        assert [(role, text) for role, _status, text in await stored(page)] == [
            ("user", TALK[0]["hears"]),
            ("assistant", TALK[0]["says"]),
            ("user", TALK[1]["hears"]),
            ("assistant", TALK[1]["says"]),
        ]
        assert len(s.upstream.connections) == 1


async def test_a_page_that_plays_nothing_is_let_go_and_costs_no_more_than_the_window(
    stage: StageMaker, ada: Any
) -> None:
    assert DEFAULTS.stall_ms <= 15_000
    long = [{**TALK[0], "audio_ms": 60_000}]
    async with stage(long, timers={"stall_ms": 500}) as s:
        page = await s.talking(ada)
        page.plays = False
        await page.speak(QUESTION)
        assert await page.until_closed() == 4508
        heard = sum(len(audio) for audio in page.audio.values())
        assert heard <= DEFAULTS.ahead_ms * 48


@pytest.mark.parametrize("speed_bytes_per_s", [None, 1_024])
async def test_a_page_that_hardly_reads_is_let_go_and_its_talk_kept(
    stage: StageMaker, ada: Any, speed_bytes_per_s: int | None
) -> None:
    long = [{**TALK[0], "audio_ms": 60_000}]
    async with stage(long, timers={"stall_ms": 800}, wifi_buffer_bytes=16_384) as s:
        page = await s.talking(ada)
        relay = s.relay_of(page)
        await page.speak(QUESTION)
        if speed_bytes_per_s is None:
            s.wifi.back.stall()
        else:
            s.wifi.back.bytes_per_s = speed_bytes_per_s
        await eventually(lambda: relay.link is None)
        assert not relay.finished.is_set()
        await s.checker.canary_answers()
        s.wifi.reset_peers()
        s.wifi.heal()


async def test_a_page_that_sends_and_never_reads_is_let_go(stage: StageMaker, ada: Any) -> None:
    long = [{**TALK[0], "audio_ms": 60_000}]
    async with stage(long, timers={"stall_ms": 800}, wifi_buffer_bytes=16_384) as s:
        page = await s.talking(ada)
        relay = s.relay_of(page)
        await page.speak(QUESTION)
        s.wifi.back.stall()

        async def chatter() -> None:
            while True:
                await page.say("ping", t=1)
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(chatter(), name="chatter")
        await eventually(lambda: relay.link is None)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        s.wifi.reset_peers()
        s.wifi.heal()


async def test_five_short_cuts_lose_no_word_and_open_no_second_upstream(stage: StageMaker, ada: Any) -> None:
    async with stage(TALK) as s:
        page = await s.talking(ada)
        await page.speak(QUESTION)
        await page.until("audio.begin")
        for _ in range(5):
            s.wifi.down = True
            s.wifi.reset_peers()
            await page.until_closed()
            s.wifi.heal()
            ready = await s.resume(ada, page)
            assert ready["resumed"] is True
        ended = page.of("audio.end") or [await page.until("audio.end")]  # it may have come between two cuts
        assert len(page.audio[ended[0]["item_id"]]) == TALK[0]["audio_ms"] * 48
        await ask(page)
        assert len(s.upstream.connections) == 1
        assert (await row(s, page)).ended_at is None
        assert [(role, text) for role, _status, text in await stored(page)] == [
            ("user", TALK[0]["hears"]),
            ("assistant", TALK[0]["says"]),
            ("user", TALK[1]["hears"]),
            ("assistant", TALK[1]["says"]),
        ]


async def test_a_connection_that_hangs_is_superseded_by_the_next_of_the_same_talk(
    stage: StageMaker, ada: Any
) -> None:
    async with stage(TALK) as s:
        page = await s.talking(ada)
        old = Page(page.minted)
        old._socket, page._socket = page._socket, None
        await s.resume(ada, page)
        assert await old.until_closed() == 4409
        await ask(page)
        assert len(s.upstream.connections) == 1
