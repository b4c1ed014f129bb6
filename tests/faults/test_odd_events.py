"""An upstream that says what it should not: F12, F13, F16. Dropped and counted; only too much of it ends the talk."""

from __future__ import annotations

import base64
from typing import Any

from realtime.models import RealtimeSession, SessionEvent
from realtime.session import MAX_MALFORMED
from tests.faults.conftest import SCRIPT, StageMaker
from tests.faults.stage import QUESTION, ask
from tests.realtime.page import eventually, silence

PCM = base64.b64encode(silence(20)).decode()
AUDIO = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i"}
MALFORMED: list[dict[str, Any]] = [
    {**AUDIO, "delta": PCM[:-3]},  # truncated base64
    {**AUDIO, "delta": "*" * 40},
    {**AUDIO, "delta": base64.b64encode(b"odd").decode()},  # half a sample
    {**AUDIO, "item_id": 7, "delta": PCM},
    {"type": "input_audio_buffer.speech_started", "item_id": None},
    {"type": "response.created", "response": "r"},
    {"type": "response.done", "response": {"id": ["r"]}},
    {"type": "response.output_item.added", "item": [], "response_id": "r"},
    {"type": "response.output_text.delta", "item_id": "i", "response_id": "r", "delta": {"text": "x"}},
    {"type": "error", "error": "no object"},
    {"type": 7},
    {"type": None},
]
STRAYS: list[dict[str, Any]] = [
    {"type": "input_audio_buffer.speech_stopped", "item_id": "ghost", "audio_end_ms": float("nan")},
    {"type": "conversation.item.input_audio_transcription.delta", "item_id": "nobody", "delta": "x"},
    {**AUDIO, "delta": None},
    {"type": "response.output_audio.done", "response_id": "gone", "item_id": "gone"},
]


async def test_malformed_events_are_dropped_and_counted(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        page = await s.talking(ada)
        connection = s.upstream.connections[0]
        for event in MALFORMED:
            await connection.inject(event)
        session = s.relay_of(page).session
        await eventually(lambda: len(session.malformed) == len(MALFORMED))
        assert (await ask(page))[0]["text"] == SCRIPT[0]["says"]
        assert len(s.upstream.connections) == 1


async def test_frames_that_are_not_json_are_dropped_and_counted(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        s.upstream.faults = [{"name": "malformed", "at": "response.created"}]
        page = await s.talking(ada)
        done, _speech = await ask(page)
        assert done["text"] == SCRIPT[0]["says"]
        assert len(s.relay_of(page).session.malformed) == 1


async def test_strays_and_numbers_that_are_none_change_nothing(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        page = await s.talking(ada)
        for event in STRAYS:
            await s.upstream.connections[0].inject(event)
        assert (await ask(page))[0]["text"] == SCRIPT[0]["says"]
        assert not s.relay_of(page).session.malformed


async def test_too_many_malformed_events_end_the_session(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        page = await s.talking(ada)
        connection = s.upstream.connections[0]
        for _ in range(MAX_MALFORMED):
            await connection.inject(MALFORMED[0])
        await page.say("ping", t=1)
        await page.until("pong")
        assert not page.of("error")
        await connection.inject(MALFORMED[0])
        assert (await page.until("error"))["code"] == "upstream.lost"
        assert await page.until_closed() == 4502


async def test_events_that_come_twice_or_late_change_nothing(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        page = await s.talking(ada)
        done, speech = await ask(page)
        connection = s.upstream.connections[0]
        late = [
            event
            for event in connection.sent
            if event["type"].startswith(("response.", "input_audio_buffer."))
        ]
        late = [event for event in late if event["type"] != "input_audio_buffer.speech_started"]
        for event in late:
            await connection.inject(event)
        await page.say("ping", t=1)
        await page.until("pong")
        await page.say("session.end")
        await page.until_closed()
        assert bytes(page.audio[done["item_id"]]) == speech
        finals = [m for m in page.of("transcript.done") if m["item_id"] == done["item_id"]]
        assert {m["text"] for m in finals} == {SCRIPT[0]["says"]}
        assert finals[-1]["status"] == "completed"
        await s.switchboard.journal.flush(5)
        row = await RealtimeSession.objects.aget(pk=page.minted["session_id"])
        assert row.turns == 1


async def test_an_event_larger_than_any_costs_the_connection_and_not_the_talk(
    stage: StageMaker, ada: Any
) -> None:
    async with stage() as s:
        page = await s.talking(ada)
        await s.upstream.connections[0].inject({**AUDIO, "delta": "A" * 10_000_000})
        await page.until("state", state="reconnecting")
        await page.until("state", state="listening")
        await ask(page)
        assert len(s.upstream.connections) == 2


async def test_unknown_events_and_fields_are_ignored_and_counted(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        s.upstream.faults = [
            {"name": "unknown_event", "at": "response.created"},
            {"name": "unknown_event", "at": "response.done"},
        ]
        page = await s.talking(ada)
        secret = "a field that nobody knows"
        s.checker.secrets.add(secret)
        await s.upstream.connections[0].inject(
            {"type": "input_audio_buffer.cleared", "event_id": "e", "news": secret}
        )
        await ask(page)
        await page.say("session.end")
        await page.until_closed()
        await s.switchboard.journal.flush(5)
        ended = await SessionEvent.objects.aget(session_id=page.minted["session_id"], name="ended")
        assert ended.data["ignored"]["response.telepathy.delta"] == 2


async def test_a_flood_of_events_starves_nobody(stage: StageMaker, ada: Any) -> None:
    async with stage() as s:
        s.upstream.faults = [{"name": "flood", "at": "response.created", "count": 5_000, "bytes": 1_000}]
        page = await s.talking(ada)
        await page.speak(QUESTION)
        await page.until("response.started")
        await s.checker.canary_answers()
        await page.until("audio.end")


async def test_ten_minutes_of_speech_at_once_stay_within_the_bound(stage: StageMaker, ada: Any) -> None:
    long = [{"hears": "Read me a book.", "says": "Chapter one of many.", "audio_ms": 600_000}, *SCRIPT]
    cap = 1_000_000
    async with stage(long, timers={"downlink_cap_bytes": cap}) as s:
        page = await s.talking(ada)
        page.plays = False
        session = s.relay_of(page).session
        most = 0
        await page.speak(QUESTION)
        while not page.of("warning"):
            await page.next()
            most = max(most, held_bytes(session))
        assert page.of("warning")[-1]["code"] == "answer.too_long"
        assert 0 < most <= cap
        await s.checker.canary_answers()
        received = s.upstream.connections[0].received
        await eventually(lambda: any(event["type"] == "response.cancel" for event in received))
        assert (
            sum(len(audio) for audio in page.audio.values()) <= 4_000 * 48
        )  # the window: 4 s ahead of the ear


def held_bytes(session: Any) -> int:
    """Speech kept for the page."""
    held: int = session.talk.playout.held_bytes
    return held
