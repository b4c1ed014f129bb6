"""Cables that are slow, uneven or break everything into pieces: F10 and F11. What arrives is the same, to the byte."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.faults.conftest import StageMaker
from tests.faults.stage import QUESTION, ask
from tests.realtime.page import Page

ANSWER = [{"hears": "Say something short.", "says": "Something short it is.", "audio_ms": 600}]


def no_gaps_and_no_repeats(page: Page, item_id: str) -> None:
    """Each run of frames begins where the last one ended."""
    begins = [m for m in page.of("audio.begin") if m["item_id"] == item_id]
    assert [m["offset_samples"] for m in begins] == [0]


async def test_a_slow_and_uneven_upstream_changes_no_byte(stage: StageMaker, ada: Any, bob: Any) -> None:
    async with stage(ANSWER) as s:
        _done, expected = await ask(await s.talking(bob))
        for toxics in (s.cable.toward, s.cable.back):
            toxics.latency_ms, toxics.jitter_ms, toxics.bytes_per_s = 150, 150, 80_000
        page = await s.talking(ada)
        done, speech = await ask(page)
        assert speech == expected
        no_gaps_and_no_repeats(page, done["item_id"])
        assert len([m for m in page.of("transcript.done") if m["role"] == "user"]) == 1
        s.cable.heal()


async def test_an_upstream_that_is_slower_than_speech_is_waited_for(stage: StageMaker, ada: Any) -> None:
    """8 kB/s, of which speech takes 64; two seconds late, give or take one."""
    async with stage([{**ANSWER[0], "audio_ms": 240}]) as s:
        page = await s.talking(ada)
        s.cable.toward.latency_ms, s.cable.toward.jitter_ms = 1_000, 2_000
        s.cable.back.latency_ms, s.cable.back.jitter_ms = 1_000, 2_000
        s.cable.back.bytes_per_s, s.cable.back.slice_bytes = 8_000, 400
        done, speech = await ask(page)
        assert len(speech) == 240 * 48
        no_gaps_and_no_repeats(page, done["item_id"])
        assert len(s.upstream.connections) == 1
        assert not page.of("warning")
        s.cable.heal()


async def test_a_slow_and_uneven_wifi_changes_no_byte(stage: StageMaker, ada: Any, bob: Any) -> None:
    async with stage(ANSWER) as s:
        _done, expected = await ask(await s.talking(bob))
        for toxics in (s.wifi.toward, s.wifi.back):
            toxics.latency_ms, toxics.jitter_ms, toxics.bytes_per_s = 100, 100, 120_000
        page = await s.talking(ada)
        done, speech = await ask(page)
        assert speech == expected
        no_gaps_and_no_repeats(page, done["item_id"])
        s.wifi.heal()


async def test_bytes_that_come_one_by_one_are_the_same_bytes(stage: StageMaker, ada: Any, bob: Any) -> None:
    async with stage([{**ANSWER[0], "audio_ms": 120}]) as s:
        _done, expected = await ask(await s.talking(bob))
        page = await s.talking(ada)
        for toxics in (s.cable.back, s.wifi.back):
            toxics.slice_bytes = 1
        s.cable.toward.slice_bytes = s.wifi.toward.slice_bytes = 97
        async with asyncio.timeout(60):
            await page.speak(QUESTION)
            ended = await page.until("audio.end")
        assert bytes(page.audio[ended["item_id"]]) == expected
        s.cable.heal()
        s.wifi.heal()


async def test_an_end_that_is_passed_on_late_is_an_end(stage: StageMaker, ada: Any) -> None:
    async with stage(ANSWER) as s:
        page = await s.talking(ada)
        s.cable.toward.slow_close_ms = s.cable.back.slow_close_ms = 300
        s.wifi.toward.slow_close_ms = s.wifi.back.slow_close_ms = 300
        await page.say("session.end")
        assert await page.until_closed() == 1000
