"""Push-to-talk through both doors, chosen beforehand or while live."""

from __future__ import annotations

from typing import Any

from conversations.models import Preferences
from tests.realtime.page import eventually, silence, tone
from tests.realtime.test_no_wish_is_lost import Talk

SCRIPT = [{"hears": "Over.", "says": "Roger.", "audio_ms": 300}]


async def test_a_turn_ends_when_the_key_is_released_and_not_before(make_site: Any, ada: Any) -> None:
    await Preferences.objects.acreate(owner=ada, turn_preset="push_to_talk")
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        ready = await page.until("ready")
        assert ready["config"]["turn_detection"] == {"type": "none"}
        await page.speak(tone(500) + silence(1_500))
        await page.say("ping", t=1)
        await page.until("pong")
        assert not page.of("speech.started")
        await page.say("input.commit")
        heard = await page.until("transcript.done", role="user")
        assert heard["text"] == "Over."
        ended = await page.until("audio.end")
        assert len(page.audio[ended["item_id"]]) == 300 * 48


async def test_turn_detection_changes_while_live(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.say("session.configure", turn_detection={"type": "none"})
        await page.speak(tone(500) + silence(900))
        await page.say("input.commit")
        await page.until("transcript.done", role="user")
        await page.until("audio.end")
        assert not page.of("speech.started")
        await page.say("session.configure", turn_detection={"type": "server_vad", "silence_duration_ms": 300})
        await page.speak(tone(400) + silence(600))
        await page.until("speech.stopped")
        await page.until("audio.end")


async def test_what_was_being_said_when_push_to_talk_was_chosen_is_no_turn(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(tone(600))
        started = await page.until("speech.started")
        await page.until("state", state="hearing")
        await page.say("session.configure", turn_preset="push_to_talk")
        await page.say("input.clear")  # as our own page does
        await page.until("transcript.done", item_id=started["item_id"], status="discarded")
        await page.until("state", state="listening")
        await page.speak(tone(500))
        await page.say("input.commit")
        heard = await page.until("transcript.done", role="user", status="completed")
        assert heard["item_id"] != started["item_id"]
        await page.until("audio.end")


async def test_what_is_being_said_and_thrown_away_is_not_heard_any_more(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(tone(600))
        started = await page.until("speech.started")
        await page.say("input.clear")
        await page.until("transcript.done", item_id=started["item_id"], status="discarded")
        await page.until("state", state="listening")
        await page.speak(tone(500) + silence(900))
        await page.until("transcript.done", role="user", status="completed")


def test_speech_that_ended_just_before_push_to_talk_was_chosen_is_a_turn_all_the_same() -> None:
    talk = Talk()
    talk.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    talk.page("session.configure", turn_detection={"type": "none"})
    assert talk.told("state")[-1]["state"] == "listening"
    talk.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=500)
    talk.says("input_audio_buffer.committed", item_id="u1")
    assert talk.statuses() == ["pending"]
    talk.says("conversation.item.input_audio_transcription.completed", item_id="u1", transcript="In time.")
    assert (talk.told("transcript.done")[-1]["text"], talk.statuses()[-1]) == ("In time.", "completed")


def test_speech_that_began_just_before_push_to_talk_was_chosen_is_not_waited_for() -> None:
    talk = Talk()
    talk.page("session.configure", turn_detection={"type": "none"})
    talk.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    assert "hearing" not in [said["state"] for said in talk.told("state")]
    assert not talk.told("speech.started")


async def test_a_preset_is_the_sites_own_turn_detection_with_the_change_laid_over_it(
    make_site: Any,
    ada: Any,
    settings: Any,
) -> None:
    settings.REALTIME_VAD_PREFIX_PADDING_MS = 120
    settings.REALTIME_VAD_SILENCE_DURATION_MS = 640
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        for name in ("patient", "push_to_talk", "normal"):
            await page.say("session.configure", turn_preset=name)
            await page.say("ping", t=1)
            await page.until("pong")
        updates = await eventually(lambda: _updates(site) if len(_updates(site)) >= 4 else None)
    chosen = dict(zip(("at first", "patient", "push_to_talk", "normal"), updates, strict=True))
    assert chosen["push_to_talk"] is None
    assert (chosen["patient"]["silence_duration_ms"], chosen["patient"]["prefix_padding_ms"]) == (1_200, 120)
    assert chosen["normal"] == chosen["at first"]
    assert chosen["normal"]["silence_duration_ms"] == 640


def _updates(site: Any) -> list[Any]:
    """The turn detection that the upstream was told, each time."""
    return [
        event["session"]["audio"]["input"]["turn_detection"]
        for event in site.upstream.connections[0].received
        if event["type"] == "session.update"
    ]


async def test_a_commit_under_vad_is_nothing(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.say("input.commit")
        await page.say("ping", t=1)
        await page.until("pong")
        assert not page.of("error")
    kinds = {event["type"] for event in site.upstream.connections[0].received}
    assert "input_audio_buffer.commit" not in kinds
