"""A spoken turn through both doors: speech up, transcripts and speech down, everything kept."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async

from conversations.models import Message
from realtime.models import RealtimeSession, Turn, UsageRecord
from tests.realtime.page import eventually, silence, tone

SCRIPT = [{"hears": "What is the time?", "says": "It is noon.", "audio_ms": 900}]


async def kept(**filters: Any) -> list[Message]:
    return await sync_to_async(lambda: list(Message.objects.filter(**filters).in_order()))()


async def test_a_spoken_question_is_answered_in_text_and_speech_and_kept_in_order(
    make_site: Any, ada: Any
) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        ready = await page.until("ready")
        assert ready["uplink_samples"] == 0
        assert ready["config"]["offline"] is True
        await page.speak(tone(400) + silence(900))
        heard = await page.until("transcript.done", role="user")
        assert heard["text"] == "What is the time?"
        ended = await page.until("audio.end")
        await page.until("message.saved", item_id=ended["item_id"])
        answer = [m for m in page.of("transcript.done") if m["role"] == "assistant"][-1]
        assert answer["text"] == "It is noon."
        assert answer["after"] == heard["item_id"]
        assert len(page.audio[ended["item_id"]]) == 900 * 48
        await page.say("session.end")
        assert await page.until_closed() == 1000
        assert page.received[-1]["type"] == "ended"

    await site.switchboard.journal.flush(5)
    messages = await kept(conversation_id=page.minted["conversation_id"])
    assert [(m.role, m.modality, m.status, m.text) for m in messages] == [
        ("user", "voice", "completed", "What is the time?"),
        ("assistant", "voice", "completed", "It is noon."),
    ]
    assert messages[1].heard_ms == messages[1].generated_ms == 900
    session = await RealtimeSession.objects.aget(pk=page.minted["session_id"])
    assert session.end_reason == "person_ended"
    assert session.turns == 1
    assert await Turn.objects.filter(session=session).acount() == 1
    assert await UsageRecord.objects.filter(session=session, meter="response").acount() == 1
    await eventually(lambda: site.upstream.open_count == 0)


async def test_typed_text_is_answered_by_the_same_relay(make_site: Any, ada: Any) -> None:
    site = await make_site([{"says": "Four."}])
    async with await site.page(ada, modality="text") as page:
        await page.until("ready")
        await page.say("input.text", text="Two and two?", client_id="c1")
        own = await page.until("transcript.done", role="user")
        assert own["client_id"] == "c1"
        answer = await page.until("transcript.done", role="assistant")
        assert answer["text"] == "Four."
        assert answer["after"] == own["item_id"]
        assert "".join(m["text"] for m in page.of("transcript.delta")) == "Four."
        await page.until("message.saved", item_id=answer["item_id"])
    messages = await kept(conversation_id=page.minted["conversation_id"])
    assert [(m.role, m.modality, m.text) for m in messages] == [
        ("user", "text", "Two and two?"),
        ("assistant", "text", "Four."),
    ]


async def test_typed_text_goes_into_a_running_voice_session(make_site: Any, ada: Any) -> None:
    site = await make_site([{"says": "Spoken answer.", "audio_ms": 500}])
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.say("input.text", text="Say something", client_id="c1")
        ended = await page.until("audio.end")
        assert len(page.audio[ended["item_id"]]) == 500 * 48


async def test_the_page_is_told_how_much_speech_belongs_to_the_text(make_site: Any, ada: Any) -> None:
    site = await make_site([{"says": "Spoken answer.", "audio_ms": 500}])
    async with await site.page(ada, plays=False) as page:
        await page.until("ready")
        await page.say("input.text", text="Say something", client_id="c1")
        done = await page.until("transcript.done", role="assistant")
    deltas = [delta["samples"] for delta in page.of("transcript.delta")]
    assert not any(deltas), "the text comes before its speech"
    assert done["samples"] == 500 * 24


async def test_two_people_at_once_hear_only_their_own(make_site: Any, ada: Any, bob: Any) -> None:
    site = await make_site([{"hears": "first", "says": "One.", "audio_ms": 300}])
    async with await site.page(ada) as hers, await site.page(bob) as his:
        for page in (hers, his):
            await page.until("ready")
            await page.speak(tone(400) + silence(900))
        for page in (hers, his):
            ended = await page.until("audio.end")
            await page.until("message.saved", item_id=ended["item_id"])
        hers_items = {m["item_id"] for m in hers.received if "item_id" in m}
        his_items = {m["item_id"] for m in his.received if "item_id" in m}
        assert hers_items
        assert not hers_items & his_items
    mine = await kept(conversation__owner=ada)
    assert {m.item_id for m in mine} <= hers_items


@pytest.mark.parametrize("status", [401, 404])
async def test_a_refusal_of_the_upstream_is_told_and_ends_the_session(
    make_site: Any, ada: Any, status: int
) -> None:
    site = await make_site(SCRIPT)
    site.upstream.faults = [{"name": "refuse", "status": status}]
    async with await site.page(ada) as page:
        error = await page.until("error")
        assert error["code"] == ("upstream.auth" if status == 401 else "upstream.config")
        assert error["retryable"] is False
        assert await page.until_closed() == 4502
    await site.switchboard.journal.flush(5)
    session = await RealtimeSession.objects.aget(pk=page.minted["session_id"])
    assert session.end_reason == error["code"].replace(".", "_")
