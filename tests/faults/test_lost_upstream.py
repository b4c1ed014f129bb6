"""An upstream that goes away in the middle, by a close, a broken cable, silence or age: F8, F9, F14, F15."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from conversations.models import Message
from realtime import upstream
from realtime.conf import RelayConfig
from realtime.models import SessionEvent
from tests.faults.conftest import StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import QUESTION, Stage, ask
from tests.realtime.page import Page, eventually, tone

STORY = "Once upon a time there was a relay that never lost a word."
LONG = [
    {"hears": "Tell me a story.", "says": STORY, "audio_ms": 6_000},
    {"hears": "And then what?", "says": "Then it was told again.", "audio_ms": 500},
]
MIDDLE = {"at": "response.output_audio.delta", "nth": 4}


async def stored(page: Page) -> list[Message]:
    """The messages of the page's conversation, in order."""
    of = page.minted["conversation_id"]
    return await sync_to_async(lambda: list(Message.objects.filter(conversation_id=of).in_order()))()


async def begin_story(s: Stage, user: Any) -> Page:
    """A page to which a long answer has begun to come."""
    page = await s.talking(user)
    await page.speak(QUESTION)
    await page.until("audio.begin")
    return page


def seeded_texts(connection: Any) -> list[tuple[str, str]]:
    """What a fresh upstream was told of the past."""
    return [
        (event["item"]["role"], event["item"]["content"][0]["text"])
        for event in connection.received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "message"
    ]


async def goes_on(s: Stage, page: Page) -> None:
    """After the loss: told as a hiccup, what was begun is kept as interrupted, and the talk goes on with its past."""
    await page.until("state", state="reconnecting")
    await page.until("state", state="listening")
    await ask(page)
    await s.switchboard.journal.flush(5)
    messages = await stored(page)
    assert [(m.role, m.status) for m in messages] == [
        ("user", "completed"),
        ("assistant", "interrupted"),
        ("user", "completed"),
        ("assistant", "completed"),
    ]
    broken_off = messages[1]
    assert broken_off.text
    assert STORY.startswith(broken_off.text)
    seeds = seeded_texts(s.upstream.connections[1])
    assert seeds[0] == ("user", messages[0].text)
    assert seeds[1][0] == "assistant"
    assert len(s.upstream.connections) == 2


@taking_turns("code", [1000, 1001, 1011, 3000, None])
async def test_an_answer_cut_off_by_the_upstream_is_kept_and_the_talk_goes_on(
    stage: StageMaker, ada: Any, code: int | None
) -> None:
    async with stage(LONG) as s:
        s.upstream.faults = [{"name": "drop", "code": code, **MIDDLE}]
        await goes_on(s, await begin_story(s, ada))


@taking_turns("resets", [False, True])
async def test_an_answer_cut_off_in_the_middle_of_a_frame_is_kept_and_the_talk_goes_on(
    stage: StageMaker, ada: Any, resets: bool
) -> None:
    async with stage(LONG) as s:
        page = await s.talking(ada)
        s.cable.back.limit_bytes, s.cable.back.limit_resets = 100_003, resets  # an event holds about 16,000
        await page.speak(QUESTION)
        await page.until("audio.begin")
        await eventually(lambda: not s.cable.wires)
        s.cable.heal()
        await goes_on(s, page)


async def test_an_answer_cut_off_between_two_events_is_kept_and_the_talk_goes_on(
    stage: StageMaker, ada: Any
) -> None:
    async with stage(LONG) as s:
        s.upstream.faults = [{"name": "stall", **MIDDLE}]
        page = await begin_story(s, ada)
        await page.until("state", state="speaking")
        s.upstream.faults = []
        s.cable.reset_peers()
        await goes_on(s, page)


async def test_a_dead_cable_is_noticed_by_pings(
    stage: StageMaker, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = upstream.PING_INTERVAL_S + upstream.PING_TIMEOUT_S + upstream.CLOSE_TIMEOUT_S
    assert seconds <= 20
    monkeypatch.setattr(upstream, "PING_INTERVAL_S", 0.2)
    monkeypatch.setattr(upstream, "PING_TIMEOUT_S", 0.2)
    async with stage(LONG, timers={"connect_deadline_ms": 60_000, "reconnect_tries": 50}) as s:
        page = await s.talking(ada)
        s.cable.stall()
        monkeypatch.setattr(
            upstream, "PING_TIMEOUT_S", 20
        )  # of the next connections: a busy machine is no dead cable
        async with asyncio.timeout(5):
            await page.until("state", state="reconnecting")
        s.cable.heal()
        await page.until("state", state="listening")
        await ask(page)


async def test_an_answer_that_stops_coming_is_cancelled_and_told(stage: StageMaker, ada: Any) -> None:
    assert RelayConfig("", "", "", "").stuck_response_ms <= 10_000
    async with stage(LONG, timers={"stuck_response_ms": 400}) as s:
        s.upstream.faults = [{"name": "stall", "ms": 1_500, "times": 1, **MIDDLE}]
        page = await begin_story(s, ada)
        warning = await page.until("warning")
        assert warning["code"] == "answer.slow"
        received = s.upstream.connections[0].received
        await eventually(lambda: any(event["type"] == "response.cancel" for event in received))
        await ask(page)
        assert len(s.upstream.connections) == 1


async def test_an_answer_that_never_says_a_word_is_cancelled_and_told(stage: StageMaker, ada: Any) -> None:
    assert RelayConfig("", "", "", "").first_word_ms <= 20_000
    async with stage(LONG, timers={"first_word_ms": 400}) as s:
        s.upstream.faults = [{"name": "stall", "ms": 1_500, "times": 1, "at": "response.created"}]
        page = await s.talking(ada)
        await page.speak(QUESTION)
        assert (await page.until("error"))["code"] == "upstream.answer_failed"
        received = s.upstream.connections[0].received
        await eventually(lambda: any(event["type"] == "response.cancel" for event in received))
        await ask(page)
        assert len(s.upstream.connections) == 1


@taking_turns("kind", ["server_error", "invalid_request_error"])
async def test_an_error_that_ends_nothing_is_noted_and_the_talk_goes_on(
    stage: StageMaker, ada: Any, kind: str
) -> None:
    async with stage(LONG) as s:
        page = await s.talking(ada)
        secret = "quoted from a request that held sk-canary"
        s.checker.secrets.add(secret)
        error = {"type": kind, "code": "weather", "message": secret, "param": None, "event_id": None}
        await s.upstream.connections[0].inject({"type": "error", "event_id": "event_x", "error": error})
        if kind == "server_error":
            assert (await page.until("warning"))["code"] == "upstream.trouble"
        await ask(page)
        await s.switchboard.journal.flush(5)
        noted = await SessionEvent.objects.aget(session_id=page.minted["session_id"], name="upstream.error")
        assert noted.data == {"code": "weather"}
        assert len(s.upstream.connections) == 1


async def test_a_failed_answer_is_told_and_the_question_can_be_asked_again(
    stage: StageMaker, ada: Any
) -> None:
    script = [{"hears": "Why?", "fails": {"code": "server_error", "message": "no"}}, LONG[1]]
    async with stage(script) as s:
        page = await s.talking(ada)
        await page.say("input.text", text="Why is it so?", client_id="c1")
        assert (await page.until("error"))["code"] == "upstream.answer_failed"
        await ask(page)


async def test_a_session_that_expires_is_replaced_and_the_talk_goes_on(stage: StageMaker, ada: Any) -> None:
    async with stage(LONG) as s:
        s.upstream.faults = [{"name": "expire", **MIDDLE}]
        await goes_on(s, await begin_story(s, ada))


async def test_an_old_connection_is_replaced_before_the_upstream_ends_it(stage: StageMaker, ada: Any) -> None:
    assert RelayConfig("", "", "", "").rotate_after_ms <= 55 * 60_000
    async with stage([LONG[1]], timers={"rotate_after_ms": 600}) as s:
        page = await s.talking(ada)
        _done, speech = await ask(page)
        await eventually(lambda: s.upstream.connections[0].close_code is not None)
        assert s.upstream.connections[0].close_code == 1000  # closed by us, not ended by the upstream
        _again, speech_again = await ask(page)
        assert len(speech_again) == len(speech)
        assert ("assistant", "Then it was told again.") in seeded_texts(s.upstream.connections[1])
        assert not page.of("error")
        assert "reconnecting" not in {
            said["state"] for said in page.of("state")
        }  # the person noticed nothing


async def test_speech_that_was_under_way_is_heard_by_the_next_upstream(stage: StageMaker, ada: Any) -> None:
    async with stage(LONG) as s:
        page = await s.talking(ada)
        await page.speak(tone(800))
        await page.until("speech.started")
        s.cable.reset_peers()
        await page.until("state", state="reconnecting")
        await page.speak(QUESTION)
        await page.until("transcript.done", role="user", status="completed")
        await page.until("audio.end")
        await s.switchboard.journal.flush(5)
        assert [(m.role, m.status) for m in await stored(page)] == [
            ("user", "completed"),
            ("assistant", "completed"),
        ]
