"""A person chooses what is kept, sees that audio is being kept, plays it again, and takes it all back."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr
from playwright.sync_api import Locator, expect

from conversations import services
from conversations.models import Conversation, Message
from realtime.local.recognizer import Recognizer
from realtime.models import RealtimeSession, Recording
from tests.browser.conftest import Person, eventually
from tests.browser.pictures import Picture
from tests.browser.test_accessibility import SCHEMES, assert_accessible

pytestmark = pytest.mark.usefixtures("recordings_folder")


def choose(ada: Person, choice: str) -> None:
    """Through the button at the top of the conversation."""
    ada.page.locator("#keep-button").click()
    with ada.page.expect_response("**/api/conversations/**"):
        ada.page.get_by_role("radio", name=choice).check()
    ada.page.get_by_role("button", name="Done").click()


def recording_mark(ada: Person) -> Locator:
    return ada.page.locator("[data-part=recording]")


@pytest.fixture(scope="module")
def ears() -> Recognizer:
    """Loaded once: that takes seconds on a busy machine."""
    return Recognizer()


def understood(wav: bytes, ears: Recognizer) -> str:
    """What a listener hears in a WAV file."""
    with wave.open(io.BytesIO(wav)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return ears.transcribe(soxr.resample(pcm.astype(np.float32) / 32768, 24_000, 16_000)).lower()


@pytest.mark.timeout(300)
def test_kept_audio_is_told_played_again_and_deleted(
    person: Callable[..., Person], recordings_folder: Path, picture: Picture, ears: Recognizer
) -> None:
    ada = person()
    ada.chat.open()
    choose(ada, "Text and audio")
    expect(ada.page.locator("#keep-button")).to_have_text("Audio is kept")
    ada.chat.start_voice()
    expect(recording_mark(ada)).to_be_visible()
    ada.chat.await_row("assistant", "fifty-six|56")
    ada.chat.await_state("listening", within_ms=60_000)
    picture("audio-is-kept")
    ada.chat.end_call()
    expect(recording_mark(ada)).to_be_hidden()
    replay = ada.chat.panel.get_by_role("button", name="Replay")
    expect(replay).to_be_visible()
    expect(ada.page.locator("#messages .play:visible")).to_have_count(2)
    picture("ended-with-replay")

    for role, words in (("user", "seven times eight"), ("assistant", "fifty")):
        row = ada.chat.rows(role)
        play = row.get_by_role("button", name="Play", exact=True)
        expect(play).to_be_visible()
        with ada.page.expect_response("**/audio/") as answer:
            play.click()
        assert answer.value.status in (200, 206)
        expect(row.get_by_role("button", name="Stop playing")).to_be_visible()
        assert words in understood(ada.page.request.get(answer.value.url).body(), ears)
        expect(play).to_be_visible()  # it has come to its end
    picture("kept-messages")
    replay.click()  # the whole call, one message after the other
    for role in ("user", "assistant"):
        expect(ada.chat.rows(role).get_by_role("button", name="Stop playing")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Stop playing")).to_have_count(0)

    assert list(recordings_folder.rglob("*.pcm"))
    ada.page.locator("#keep-button").click()
    ada.page.get_by_role("button", name="Delete the kept audio").click()
    expect(ada.page.locator("#messages .play:visible")).to_have_count(0)
    expect(ada.page.locator("#keep-button")).to_have_text("The text is kept")
    assert not list(recordings_folder.rglob("*.pcm"))
    assert not Recording.objects.exists()
    assert Message.objects.count() == 2
    ada.page.reload()
    expect(ada.chat.rows()).to_have_count(2)
    expect(ada.page.locator("#messages .play:visible")).to_have_count(0)


def test_consent_is_taken_back_in_mid_call(person: Callable[..., Person]) -> None:
    ada = person()
    services.save_preferences(owner=ada.user, keep="audio")
    ada.chat.open().start_voice()
    expect(recording_mark(ada)).to_be_visible()
    choose(ada, "What was said, as text")
    expect(recording_mark(ada)).to_be_hidden()
    ada.chat.await_call()
    choose(ada, "Text and audio")
    expect(recording_mark(ada)).to_be_visible()
    assert Conversation.objects.get().keep == "audio"
    ada.chat.end_call()


def test_what_is_kept_is_in_the_menu_of_each_conversation(
    person: Callable[..., Person], picture: Picture
) -> None:
    ada = person()
    older = services.create_conversation(owner=ada.user, title="Older", keep="transcript")
    current = services.create_conversation(owner=ada.user, title="Current", keep="transcript")
    ada.chat.open(f"/chat/{current.pk}/")
    for title, choice in (("Older", "Text and audio"), ("Current", "Nothing")):
        row = ada.page.locator(".conversation").filter(has_text=title)
        row.get_by_role("button", name="Conversation actions").click()
        picture("menu")
        ada.page.get_by_role("menuitem", name="What is kept").click()
        with ada.page.expect_response("**/api/conversations/**"):
            ada.page.get_by_role("radio", name=choice).check()
        ada.page.get_by_role("button", name="Done").click()
    expect(ada.page.locator("#keep-button")).to_have_text("Nothing is kept")
    older.refresh_from_db()
    current.refresh_from_db()
    assert (older.keep, current.keep) == ("audio", "nothing")
    row = ada.page.locator(".conversation").filter(has_text="Older")
    row.get_by_role("button", name="Conversation actions").click()
    ada.page.get_by_role("menuitem", name="What is kept").click()
    expect(ada.page.get_by_role("radio", name="Text and audio")).to_be_checked()


def test_of_a_conversation_that_is_not_kept_nothing_is_there_after_a_reload(
    person: Callable[..., Person],
) -> None:
    ada = person(microphone=False)
    ada.chat.open()
    choose(ada, "Nothing")
    ada.chat.say_in_writing("What is seven times eight?")
    ada.chat.await_row("assistant", "fifty-six|56")
    expect(ada.chat.rows("user")).to_have_attribute("data-status", "completed")
    assert not Message.objects.exists()
    ada.page.reload()
    expect(ada.page.locator("#keep-button")).to_have_text("Nothing is kept")
    expect(ada.chat.rows()).to_have_count(0)
    eventually(lambda: RealtimeSession.objects.count() == 1, "the session's numbers are kept")
    assert Conversation.objects.get().title == ""


@SCHEMES
def test_the_dialog_is_accessible(person: Callable[..., Person], scheme: str, picture: Picture) -> None:
    ada = person(color_scheme=scheme, viewport={"width": 390, "height": 780} if scheme == "dark" else None)
    ada.chat.open()
    ada.page.locator("#keep-button").click()
    expect(ada.page.get_by_role("radio", name="What was said, as text")).to_be_checked()
    assert_accessible(ada.page, "what is kept")
    picture(f"keeping-{scheme}")
    ada.page.keyboard.press("Escape")
    expect(ada.page.locator("#keep-button")).to_be_focused()


def test_a_site_that_keeps_no_audio_does_not_offer_it(
    person: Callable[..., Person], settings: object
) -> None:
    settings.REALTIME_RECORDING = False  # type: ignore[attr-defined]
    ada = person(microphone=False)
    ada.chat.open()
    ada.page.locator("#keep-button").click()
    expect(ada.page.get_by_role("radio", name="Nothing")).to_be_visible()
    expect(ada.page.get_by_role("radio", name="Text and audio")).to_be_hidden()


@pytest.mark.timeout(300)
def test_an_operator_hears_a_call_beside_its_timeline(
    person: Callable[..., Person], picture: Picture, ears: Recognizer
) -> None:
    ada = person()
    services.save_preferences(owner=ada.user, keep="audio")
    ada.chat.open().start_voice()
    ada.chat.await_row("assistant", "fifty-six|56")
    ada.chat.await_state("listening", within_ms=60_000)
    ada.chat.end_call()
    eventually(lambda: RealtimeSession.objects.exclude(ended_at=None).exists(), "the call is stored")
    session = RealtimeSession.objects.get()

    operator = person("operator", microphone=False, viewport={"width": 1280, "height": 800})
    operator.user.is_staff = operator.user.is_superuser = True  # type: ignore[attr-defined]
    operator.user.save()  # type: ignore[attr-defined]
    page = operator.page
    page.goto(f"{operator.chat.origin}/admin/realtime/realtimesession/{session.pk}/change/")
    page.get_by_role("link", name="Listen to the kept audio").click()
    page.get_by_label("Why do you have to listen to this?").fill("The person asked us to find out.")
    page.get_by_role("button", name="Listen").click()
    for lane in ("said", "heard"):
        assert page.locator(f".wave.{lane}").get_attribute("d"), lane
    cursor = page.locator(".cursor")
    before = float(cursor.get_attribute("x1") or 0)
    timeline = page.locator("svg[data-scale]")
    box = timeline.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + 60)
    eventually(lambda: float(cursor.get_attribute("x1") or 0) > box["width"] * 0.4, "the cursor runs on")
    assert float(cursor.get_attribute("x1") or 0) > before
    page.evaluate("document.querySelector('audio').pause()")
    picture("admin-listening", page)
    with page.expect_response("**/said/") as answer:
        page.get_by_label("Voices").select_option("Person")
    assert answer.value.status in (200, 206)
    said = page.request.get(answer.value.url).body()
    assert "seven times eight" in understood(said, ears)
