"""Audio is kept if and only if the person chose so: both lanes to the sample, from the next sample on."""

from __future__ import annotations

import contextlib
import errno
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async

from conversations.models import Conversation, Message
from conversations.services import create_conversation
from realtime import recorder, recordings
from realtime.models import RealtimeSession, Recording, SessionEvent
from realtime.recording_file import BOTH
from tests.realtime.page import eventually, silence, tone

SCRIPT = [
    {"hears": "Tell me a story.", "says": "Once upon a time.", "audio_ms": 3_000},
    {"hears": "Go on.", "says": "The end.", "audio_ms": 500},
]
pytestmark = pytest.mark.usefixtures("recordings_folder")


async def conversation_of(user: Any, keep: str) -> Conversation:
    return await sync_to_async(create_conversation)(owner=user, keep=keep)


async def page_in(site: Any, user: Any, keep: str, **fields: Any) -> Any:
    conversation = await conversation_of(user, keep)
    page = await site.page(user, conversation_id=str(conversation.pk), **fields)
    await page.connect(uplink_samples=24_000 * 40)
    await page.until("ready")
    return page


async def finish(site: Any, page: Any) -> None:
    """The call ends, and everything is written."""
    await page.say("session.end")
    await page.until_closed()
    await eventually(lambda: not site.switchboard.relays)
    await site.switchboard.journal.flush(5)
    site.switchboard.recordings._thread.submit(lambda: None).result(5)


async def sounds(page: Any, *items: str) -> dict[str, bytes]:
    """What is kept, by item; the whole of the person's lane under "said"."""

    def read() -> dict[str, bytes]:
        recording = Recording.objects.get(pk=UUID(page.minted["session_id"]))
        with contextlib.closing(recordings.opened(recording)) as audio:
            found = {item: audio.of_item(item, 0, 10**9) for item in items}
            lane = [audio._samples(chunk, 0, chunk.samples) for chunk in audio.lanes["said"]]
            return {**found, "said": b"".join(lane)}

    return await sync_to_async(read)()


async def message(item_id: str) -> Message:
    return await sync_to_async(Message.objects.get)(item_id=item_id)


async def test_both_lanes_are_kept_to_the_sample(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    assert (await page.until("recording"))["on"] is True
    await page.speak(silence(200) + tone(400) + silence(900))
    question = (await page.until("speech.started"))["item_id"]
    answer = (await page.until("audio.end"))["item_id"]
    await page.until("message.saved", item_id=answer, status="completed")
    await finish(site, page)
    kept = await sounds(page, question, answer)
    assert kept["said"] == bytes(page.uplink)
    assert kept[answer] == bytes(page.audio[answer])
    # Of the question: its speech, with what the turn detection puts around it.
    assert tone(400) in kept[question]
    assert len(kept[question]) < len(page.uplink)
    for item in (question, answer):
        assert (await message(item)).audio_ms == len(kept[item]) // 48


async def test_of_an_interrupted_answer_only_what_was_heard_is_kept(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    page.plays = False
    await page.speak(tone(400) + silence(900))
    answer = (await page.until("audio.begin"))["item_id"]
    while len(page.audio[answer]) < 48 * 1_500:
        await page.next()
    await page.say("playout.position", item_id=answer, samples=1_000 * 24, buffered_ms=0)
    await page.until("state", state="speaking")
    await page.say("interrupt")
    await page.until("audio.clear", item_id=answer)
    await page.say("playout.cleared", item_id=answer, samples=1_234 * 24)
    await page.until("transcript.done", item_id=answer, status="interrupted")
    await finish(site, page)
    kept = await sounds(page, answer)
    assert kept[answer] == bytes(page.audio[answer][: 1_234 * 48])
    assert (await message(answer)).audio_ms == 1_234


@pytest.mark.parametrize("keep", ["nothing", "transcript"])
async def test_without_consent_no_audio_is_kept(
    make_site: Any, ada: Any, keep: str, recordings_folder: Any
) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, keep)
    await page.speak(tone(400) + silence(900))
    await page.until("audio.end")
    await page.until("state", state="listening")
    await finish(site, page)
    assert not page.of("recording")
    assert not await sync_to_async(Recording.objects.exists)()
    assert not list(recordings_folder.rglob("*.pcm"))


async def test_of_a_conversation_kept_as_nothing_only_metadata_stays(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "nothing")
    await page.speak(tone(400) + silence(900))
    await page.until("audio.end")
    answer = await page.until("transcript.done", role="assistant", status="completed")
    # Until the end it lives in memory: a page that comes back is shown it again.
    await page.cut()
    minted = await site.mint(ada, resume_session_id=page.minted["session_id"])
    page.received.clear()
    await page.connect(token=minted["token"])
    assert (await page.until("transcript.done", item_id=answer["item_id"]))["text"] == answer["text"]
    await finish(site, page)

    def stored() -> tuple[int, str, str, int]:
        session = RealtimeSession.objects.get()
        titles = set(Conversation.objects.values_list("title", flat=True))
        assert "story" not in str(list(SessionEvent.objects.values_list("data", flat=True)))
        return Message.objects.count(), titles.pop(), session.end_reason, session.turns

    assert await sync_to_async(stored)() == (0, "", "person_ended", 1)


async def test_consent_holds_from_the_next_sample_on_both_ways(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "transcript")
    before, during, after = silence(400), tone(400) + silence(400), silence(480)
    await page.speak(before)
    await page.say("session.configure", keep="audio")
    assert (await page.until("recording"))["on"] is True
    await page.speak(during)
    await page.say("session.configure", keep="transcript")
    assert (await page.until("recording"))["on"] is False
    await page.speak(after)
    question = (await page.until("speech.started"))["item_id"]
    await page.until("audio.end")
    await finish(site, page)
    kept = await sounds(page, question)
    assert kept["said"] == during
    assert tone(400) in kept[question]


async def test_consent_that_is_taken_back_elsewhere_ends_the_recording(
    make_site: Any, ada: Any, api_of: Any
) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    await page.until("recording", on=True)
    url = f"/api/conversations/{page.minted['conversation_id']}/"
    answer = await sync_to_async(api_of(ada).patch)(url, {"keep": "transcript"}, format="json")
    assert answer.json()["keep"] == "transcript"
    await page.until("recording", on=False)


async def test_consent_that_is_given_elsewhere_does_not_begin_one(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "transcript")
    (relay,) = site.switchboard.relays.values()
    relay.keep("audio")
    await page.say("ping", t=1)
    await page.until("pong")
    assert not page.of("recording")


async def test_a_site_that_keeps_no_audio_keeps_none(make_site: Any, ada: Any, settings: Any) -> None:
    settings.REALTIME_RECORDING = False
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    await page.say("session.configure", keep="audio")
    await page.say("ping", t=1)
    await page.until("pong")
    assert not page.of("recording")
    await finish(site, page)
    assert not await sync_to_async(Recording.objects.exists)()


async def test_a_full_disk_ends_the_recording_and_not_the_call(
    make_site: Any, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder, "_open", full)
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    await page.speak(tone(400) + silence(900))
    assert (await page.until("warning", code="recording.stopped"))["message"]
    await page.until("audio.end")
    assert [told["on"] for told in page.of("recording")] == [True, False]
    await finish(site, page)


async def test_a_disk_that_is_nearly_full_is_left_alone(make_site: Any, ada: Any, settings: Any) -> None:
    settings.REALTIME_RECORDING_MIN_FREE_MB = 10**9
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    await page.speak(tone(400) + silence(900))
    await page.until("warning", code="recording.stopped")
    await page.until("audio.end")
    await finish(site, page)


async def test_audio_that_was_deleted_in_mid_call_stays_deleted_and_a_new_consent_begins_anew(
    make_site: Any, ada: Any
) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    await page.speak(silence(1_200))
    await eventually(lambda: _took(site, 1_200))
    await eventually(lambda: _written(site))
    await site.switchboard.journal.flush(5)
    conversation = await Conversation.objects.aget(pk=page.minted["conversation_id"])
    await sync_to_async(recordings.delete_of_conversation)(conversation)
    await page.until("recording", on=False)
    await page.speak(silence(400))
    await page.say("session.configure", keep="audio")
    await page.until("recording", on=True)
    await page.speak(tone(400) + silence(900))
    await page.until("audio.end")
    await finish(site, page)
    assert (await sounds(page))["said"] == tone(400) + silence(900)


def _written(site: Any) -> bool:
    (relay,) = site.switchboard.relays.values()
    relay.recorder.flush()
    return relay.recorder._waiting_bytes == 0


def _took(site: Any, ms: int) -> bool:
    (relay,) = site.switchboard.relays.values()
    return relay.session.intake.total_samples == ms * 24


async def test_the_lanes_lie_where_they_sounded(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    page = await page_in(site, ada, "audio")
    await page.speak(tone(400) + silence(900))
    answer = (await page.until("audio.end"))["item_id"]
    await page.until("message.saved", item_id=answer, status="completed")
    await finish(site, page)

    def places() -> tuple[int, int, bytes]:
        with contextlib.closing(recordings.opened(Recording.objects.get())) as audio:
            said, heard = audio.lanes["said"][0].start, audio.lanes["heard"][0].start
            return said, heard, audio.aligned(BOTH, heard, heard + 100)

    said_at, heard_at, _sound = await sync_to_async(places)()
    # The page had captured 40 s before it connected; what it said first is the oldest of that.
    assert -40_000 * 24 <= said_at <= -38_000 * 24
    started = await SessionEvent.objects.aget(name="response.started")
    # Reported as played at once, so as ending at the report and beginning its length before.
    assert (heard_at // 24) + 3_000 >= started.at_ms - 3_000
