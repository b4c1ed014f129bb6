"""A dropped connection is a hiccup: both directions go on to the byte, and nothing said meanwhile is lost."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from realtime.admission import Opening
from realtime.exceptions import Refused
from realtime.relay import BrowserLink
from tests.realtime.page import eventually, silence, tone

LONG = [{"hears": "Tell me a story.", "says": "Once upon a time there was a relay.", "audio_ms": 6_000}]


async def whole_answer(make_site: Any, user: Any) -> bytes:
    """What a page without any trouble hears."""
    site = await make_site(LONG)
    async with await site.page(user) as page:
        await page.until("ready")
        await page.speak(tone(400) + silence(900))
        ended = await page.until("audio.end")
        return bytes(page.audio[ended["item_id"]])


async def test_speech_after_a_cut_equals_speech_without_one(make_site: Any, ada: Any, bob: Any) -> None:
    expected = await whole_answer(make_site, bob)
    site = await make_site(LONG)
    page = await site.page(ada)
    await page.connect()
    await page.until("ready")
    page.plays = False  # nothing is reported as played: the window of 4 s is what was sent
    await page.speak(tone(400) + silence(900))
    begun = await page.until("audio.begin")
    while len(page.audio[begun["item_id"]]) < 48 * 1_000:
        await page.next()
    await page.cut()

    page.minted = await site.mint(ada, resume_session_id=page.minted["session_id"])
    assert page.minted["resumed"] is True
    item_id, held = begun["item_id"], len(page.audio[begun["item_id"]]) // 2
    page.plays = True
    await page.connect(
        played={"item_id": item_id, "samples": held // 2}, received={"item_id": item_id, "samples": held}
    )
    ready = await page.until("ready")
    assert ready["resumed"] is True
    assert ready["replay_from"] == {"item_id": item_id, "samples": held}
    await page.until("audio.end", item_id=item_id)
    assert bytes(page.audio[item_id]) == expected
    await page.say("session.end")
    assert await page.until_closed() == 1000
    assert len(site.upstream.connections) == 1  # the upstream never noticed


async def test_a_reloaded_page_hears_on_from_what_was_last_played(make_site: Any, ada: Any, bob: Any) -> None:
    expected = await whole_answer(make_site, bob)
    site = await make_site(LONG)
    page = await site.page(ada)
    await page.connect()
    await page.until("ready")
    page.plays = False
    await page.speak(tone(400) + silence(900))
    begun = await page.until("audio.begin")
    item_id = begun["item_id"]
    while len(page.audio[item_id]) < 48 * 2_000:
        await page.next()
    await page.say("playout.position", item_id=item_id, samples=24_000, buffered_ms=1_000)
    await page.say("ping", t=1)
    await page.until("pong")
    await page.cut()

    again = await site.page(ada, resume_session_id=page.minted["session_id"])
    again.audio[item_id] = bytearray(expected[: 24_000 * 2])
    await again.connect(uplink_samples=0)
    async with again:
        ready = await again.until("ready")
        assert ready["replay_from"] == {"item_id": item_id, "samples": 24_000}
        assert ready["uplink_samples"] == 0  # a new page counts from nothing
        await again.until("transcript.done", role="user", text="Tell me a story.")
        await again.until("audio.end", item_id=item_id)
        assert bytes(again.audio[item_id]) == expected


async def test_microphone_audio_of_the_gap_arrives_once_and_whole(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page = await site.page(ada)
    await page.connect()
    await page.until("ready")
    spoken = tone(400) + silence(300) + tone(2_000) + silence(900)
    await page.speak(spoken[: 48 * 600])
    await page.cut()
    page.uplink += spoken[48 * 600 : 48 * 2_500]  # captured while the network was away

    page.minted = await site.mint(ada, resume_session_id=page.minted["session_id"])
    await page.connect()
    ready = await page.until("ready")
    from_byte = ready["uplink_samples"] * 2
    assert from_byte <= 48 * 600
    rest = bytes(page.uplink[from_byte:]) + spoken[48 * 2_500 :]
    del page.uplink[from_byte:]
    await page.speak(rest)
    await page.until("transcript.done", role="user")
    await page.say("session.end")
    await page.until_closed()
    assert uplink_of(site.upstream.connections) == spoken


def uplink_of(connections: list[Any]) -> bytes:
    """All microphone audio that reached the upstream, in order."""
    return b"".join(
        base64.b64decode(event["audio"])
        for connection in connections
        for event in connection.received
        if event["type"] == "input_audio_buffer.append"
    )


async def test_a_second_tab_supersedes_the_first(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    async with await site.page(ada) as first:
        await first.until("ready")
        other = await site.page(ada, conversation_id=first.minted["conversation_id"])
        async with other:
            await other.until("ready")
            assert await first.until_closed() == 4409
            assert first.of("ended")[0]["reason"] == "superseded"
            await other.until("state", state="listening")
            await other.say("session.end")
            await other.until_closed()
    await eventually(lambda: site.upstream.open_count == 0)


async def test_a_resume_after_the_end_starts_a_new_session_in_the_same_conversation(
    make_site: Any, ada: Any
) -> None:
    site = await make_site(LONG)
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.say("session.end")
        await page.until_closed()
    await site.switchboard.journal.flush(5)
    minted = await site.mint(ada, resume_session_id=page.minted["session_id"])
    assert minted["resumed"] is False
    assert minted["session_id"] != page.minted["session_id"]
    assert minted["conversation_id"] == page.minted["conversation_id"]


async def test_nobody_resumes_the_session_of_another(make_site: Any, ada: Any, bob: Any) -> None:
    site = await make_site(LONG)
    async with await site.page(ada) as page:
        await page.until("ready")
        minted = await site.mint(bob, resume_session_id=page.minted["session_id"])
        assert minted["resumed"] is False
        assert minted["session_id"] != page.minted["session_id"]
        assert minted["conversation_id"] != page.minted["conversation_id"]


async def test_a_session_that_is_over_and_still_hangs_up_takes_no_page(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        (relay,) = site.switchboard.relays.values()
        again = await site.mint(ada, resume_session_id=page.minted["session_id"])
        assert again["session_id"] == page.minted["session_id"]
        opening = Opening(relay.session_id, relay.conversation_id, relay.user_id, True, relay.session.config)
        relay.end("person_ended")
        assert site.switchboard.relays  # its sockets close only now
        with pytest.raises(Refused):
            site.switchboard.attach(opening, BrowserLink(), {"uplink_samples": 0})
        await page.until_closed()
