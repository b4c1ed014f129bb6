"""What a person chose in the voice settings reaches the upstream when a call begins, and changes what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from conversations.models import Message, Preferences
from realtime.conf import relay_config
from tests.realtime.page import silence, tone

pytestmark = pytest.mark.django_db(transaction=True)
TURN = [{"hears": "Who is there?", "says": "It is **me**, nobody else.", "audio_ms": 300}]


def _session(site: Any) -> dict[str, Any]:
    """What the upstream was told when the call began."""
    updates = [event for event in site.upstream.connections[0].received if event["type"] == "session.update"]
    session: dict[str, Any] = updates[0]["session"]
    return session


async def test_numbers_noise_and_language_are_the_persons(make_site: Any, ada: Any) -> None:
    numbers = {"type": "server_vad", "threshold": 0.8, "prefix_padding_ms": 100, "silence_duration_ms": 900}
    await Preferences.objects.acreate(
        owner=ada,
        turn_preset="custom",
        turn_custom=numbers,
        noise_reduction="far_field",
        speech_language="pl",
        language="de",
    )
    site = await make_site(TURN)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
    heard = _session(site)["audio"]["input"]
    assert heard["turn_detection"].items() >= numbers.items()
    assert heard["noise_reduction"] == {"type": "far_field"}
    assert heard["transcription"]["language"] == "pl"


async def test_neither_noise_reduction_nor_language_when_neither_is_wanted(make_site: Any, ada: Any) -> None:
    await Preferences.objects.acreate(owner=ada, noise_reduction="off", speech_language="any", language="de")
    site = await make_site(TURN)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
    heard = _session(site)["audio"]["input"]
    assert "noise_reduction" not in heard
    assert "language" not in heard["transcription"]


async def test_a_spoken_question_may_be_answered_in_writing(make_site: Any, ada: Any) -> None:
    await Preferences.objects.acreate(owner=ada, answers="written")
    site = await make_site(TURN)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(tone(500) + silence(1_500))
        told = await page.until("transcript.done", role="assistant")
        await page.until("response.done")
        await page.until("state", state="listening")
        assert (told["text"], told["status"]) == (TURN[0]["says"], "completed")
        assert not page.of("audio.begin")
        await page.until("message.saved", item_id=told["item_id"])
    assert _session(site)["output_modalities"] == ["text"]
    kept = await Message.objects.aget(role="assistant", status="completed")
    assert (kept.modality, kept.text, kept.heard_ms) == ("text", TURN[0]["says"], None)


@pytest.mark.parametrize(
    ("chosen", "site_sec", "ends_after_ms"), [(0, 90, 90_000), (30, 90, 30_000), (120, 90, 90_000)]
)
def test_silence_ends_a_call_when_the_person_says_but_never_later_than_the_site(
    settings: Any, chosen: int, site_sec: int, ends_after_ms: int
) -> None:
    settings.REALTIME_IDLE_SEC = site_sec
    assert relay_config(settings, end_after_sec=chosen).idle_ms == ends_after_ms


def test_ones_own_numbers_need_numbers() -> None:
    assert relay_config(settings, preset="custom").turn_detection == relay_config(settings).turn_detection


def test_where_the_site_wants_push_to_talk_nobody_has_numbers(settings: Any) -> None:
    settings.REALTIME_VAD_TYPE = "none"
    assert relay_config(settings, preset="custom", turn_custom={"type": "server_vad"}).turn_detection is None
