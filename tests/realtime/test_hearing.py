"""When the recogniser is not sure of what it wrote down, the page is told; when it says nothing of that, nothing is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conversations.models import Message, Preferences
from realtime import upstream_events
from realtime.conf import RelayConfig
from realtime.hearing import LOGPROBS, is_doubtful
from realtime.upstream_events import session_update
from tests.realtime.page import eventually, silence, tone

PROVIDER = RelayConfig(
    upstream_url="wss://api.openai.com/v1/realtime", model="gpt-realtime", voice="marin", instructions=""
)


def told(*logprobs: Any) -> dict[str, Any]:
    return {"logprobs": [{"token": "a", "bytes": [97], "logprob": value} for value in logprobs]}


@pytest.mark.parametrize(
    ("event", "doubtful"),
    [
        (told(-0.05, -0.1), False),
        (told(-0.5, -0.6), True),
        (told(-0.01, -2.0), True),
        (told(-0.01, -0.02, -0.03, -0.9), False),  # one hard word, as a name is
        ({}, False),
        ({"logprobs": None}, False),
        ({"logprobs": []}, False),
        (told(-3.0, "x"), False),
        (told(-3.0, 1.0), False),
        ({"logprobs": [None]}, False),
        ({"logprobs": "no list"}, False),
    ],
)
def test_words_that_were_guessed_are_doubtful(event: dict[str, Any], doubtful: bool) -> None:
    assert is_doubtful(event, "") is doubtful


@pytest.mark.parametrize(
    ("expected", "codes", "doubtful"),
    [
        ("de", ["ko"], True),
        ("de", ["de"], False),
        ("de", ["en", "de"], False),  # a foreign word among one's own
        ("de", ["DE-at"], False),
        ("de", [], False),  # too short to tell
        ("de", ["kor"], False),
        ("", ["ko"], False),  # nobody said what they speak
        ("de", [7, None], False),
    ],
)
def test_a_language_that_the_person_does_not_speak_is_doubtful(
    expected: str, codes: list[Any], doubtful: bool
) -> None:
    assert is_doubtful({"languages": [{"code": code} for code in codes]}, expected) is doubtful


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("gpt-4o-transcribe", True),
        ("gpt-4o-mini-transcribe-2025-12-15", True),
        ("gpt-4o-transcribe-diarize", False),
        ("gpt-transcribe", False),
        ("whisper-1", False),
    ],
)
def test_only_recognisers_that_tell_are_asked_how_sure_they_are(model: str, asked: bool) -> None:
    event = session_update(replace(PROVIDER, transcription_model=model), "e")
    assert event["session"].get("include") == ([LOGPROBS] if asked else None)


@pytest.mark.django_db(transaction=True)
async def test_an_upstream_that_knows_no_probabilities_is_configured_without_and_not_asked_again(
    make_site: Any, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_events, "LOGPROBS", "what.no.server.knows")
    site = await make_site([{"hears": "Hello.", "says": "Hello yourself.", "audio_ms": 100}])
    for _call in range(2):
        async with await site.page(ada) as page:
            await page.until("state", state="listening")
            await page.speak(tone(400) + silence(900))
            await page.until("audio.end")
            assert not page.of("error")
            await page.say("session.end")
            await page.until_closed()
        await eventually(lambda: not site.switchboard.relays)
    asked = [
        ["include" in event["session"] for event in connection.received if event["type"] == "session.update"]
        for connection in site.upstream.connections
    ]
    assert asked == [[True, False], [False]]
    told = site.upstream.connections[0].received
    told.remove(
        next(event for event in told if event["type"] == "session.update")
    )  # no judge knows it either


@pytest.mark.django_db(transaction=True)
async def test_a_configuration_that_is_refused_without_them_too_fails_and_does_not_count_against_them(
    make_site: Any, ada: Any, settings: Any
) -> None:
    site = await make_site([])
    most, settings.REALTIME_MAX_OUTPUT_TOKENS = settings.REALTIME_MAX_OUTPUT_TOKENS, 999_999
    async with await site.page(ada) as page:
        assert (await page.until("error"))["code"] == "upstream.config"
        assert await page.until_closed() == 4502
    settings.REALTIME_MAX_OUTPUT_TOKENS = most
    await eventually(lambda: not site.switchboard.relays)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
    updates = [
        ["include" in event["session"] for event in connection.received if event["type"] == "session.update"]
        for connection in site.upstream.connections
    ]
    assert updates == [[True, False], [True]]


@pytest.mark.django_db(transaction=True)
async def test_the_page_is_told_of_a_doubt(make_site: Any, ada: Any) -> None:
    await Preferences.objects.acreate(owner=ada, speech_language="en")
    site = await make_site(
        [
            {"hears": "Converts both males belong in.", "sure": 0.4, "heard_at": "before", "audio_ms": 100},
            {"hears": "What is the time?", "sure": 0.9, "heard_at": "before", "audio_ms": 100},
        ]
    )
    async with await site.page(ada) as page:
        await page.until("ready")
        for text, unsure in (("Converts both males belong in.", True), ("What is the time?", False)):
            await page.speak(tone(400) + silence(900))
            heard = await page.until("transcript.done", role="user", text=text)
            assert heard["unsure"] is unsure
            saved = await page.until("message.saved", item_id=heard["item_id"], status="completed")
            assert (await Message.objects.aget(pk=saved["message_id"])).unsure is unsure
