"""Barge-in and interruption through both doors: silence at once, truncation at what was heard, the truth kept."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from conversations.models import Message
from tests.realtime.page import eventually, silence, tone

LONG = [
    {
        "hears": "Tell me a story.",
        "says": "Once upon a time there was a relay that never slept.",
        "audio_ms": 8_000,
    },
    {"hears": "Stop.", "says": "Fine.", "audio_ms": 300},
]


async def speaking(site: Any, user: Any, heard_ms: int) -> Any:
    """A page that hears the first answer, of which so much was played."""
    page = await site.page(user)
    await page.connect()
    await page.until("ready")
    page.plays = False
    await page.speak(tone(400) + silence(900))
    item_id = (await page.until("audio.begin"))["item_id"]
    while len(page.audio[item_id]) < 48 * max(heard_ms, 200):
        await page.next()
    if heard_ms:
        await page.say("playout.position", item_id=item_id, samples=heard_ms * 24, buffered_ms=0)
        await page.until("state", state="speaking")
    return page, item_id


def sent_upstream(site: Any, kind: str) -> list[dict[str, Any]]:
    return [e for c in site.upstream.connections for e in c.received if e["type"] == kind]


async def stored(item_id: str) -> Message:
    return await sync_to_async(Message.objects.get)(item_id=item_id)


async def test_speaking_over_the_assistant_truncates_at_what_was_heard(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page, item_id = await speaking(site, ada, heard_ms=1_500)
    await page.speak(tone(400))
    await page.until("audio.clear", item_id=item_id)
    await page.say("playout.cleared", item_id=item_id, samples=1_600 * 24)
    done = await page.until("transcript.done", item_id=item_id, status="interrupted")
    page.plays = True
    await page.speak(silence(900))
    answer = await page.until("audio.end")
    assert answer["item_id"] != item_id
    await page.until("message.saved", item_id=answer["item_id"], status="completed")
    (truncated,) = await eventually(lambda: sent_upstream(site, "conversation.item.truncate"))
    assert truncated["item_id"] == item_id
    assert truncated["audio_end_ms"] == 1_600
    await page.say("session.end")
    await page.until_closed()
    await site.switchboard.journal.flush(5)
    message = await stored(item_id)
    assert (message.status, message.heard_ms) == ("interrupted", 1_600)
    assert 1_600 < message.generated_ms <= 8_000  # what had been made when it was cut
    assert message.text == done["text"]
    assert 0 < len(message.heard_text) < len(message.text)


async def test_a_page_that_does_not_answer_a_clear_is_estimated(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page, item_id = await speaking(site, ada, heard_ms=1_000)
    await page.say("interrupt")
    await page.until("audio.clear", item_id=item_id)
    await page.until("transcript.done", item_id=item_id, status="interrupted")
    (truncated,) = await eventually(lambda: sent_upstream(site, "conversation.item.truncate"))
    assert 1_000 <= truncated["audio_end_ms"] < 4_000


async def test_an_answer_of_which_nothing_was_heard_is_deleted_upstream(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page, item_id = await speaking(site, ada, heard_ms=0)
    await page.say("interrupt")
    await page.until("audio.clear", item_id=item_id)
    await page.say("playout.cleared", item_id=item_id, samples=0)
    await page.until("transcript.done", item_id=item_id, status="interrupted")
    (deleted,) = await eventually(lambda: sent_upstream(site, "conversation.item.delete"))
    assert deleted["item_id"] == item_id
    assert not sent_upstream(site, "conversation.item.truncate")


async def test_typed_text_interrupts_speech_and_is_answered(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page, item_id = await speaking(site, ada, heard_ms=1_000)
    page.plays = True
    await page.say("input.text", text="Stop.", client_id="c1")
    await page.until("audio.clear", item_id=item_id)
    answer = await page.until("audio.end")
    assert answer["item_id"] != item_id


async def test_the_next_session_is_told_what_was_heard(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page, item_id = await speaking(site, ada, heard_ms=2_000)
    await page.say("interrupt")
    await page.until("audio.clear")
    await page.say("playout.cleared", item_id=item_id, samples=2_000 * 24)
    await page.until("message.saved", item_id=item_id, status="interrupted")
    await page.say("session.end")
    await page.until_closed()
    await site.switchboard.journal.flush(5)
    heard = (await stored(item_id)).heard_text
    async with await site.page(ada, conversation_id=page.minted["conversation_id"]) as later:
        await later.until("state", state="listening")
        seeds = [
            (e["item"]["role"], e["item"]["content"][0]["text"])
            for e in site.upstream.connections[-1].received
            if e["type"] == "conversation.item.create"
        ]
    assert seeds == [("user", "Tell me a story."), ("assistant", heard)]
