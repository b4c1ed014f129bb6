"""The panel's details, settings, keys and captions, and the microphone's check before a call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from conversations import services
from conversations.models import Message, Preferences
from realtime.models import RealtimeSession
from tests.browser.conftest import Console, Person, eventually
from tests.browser.pictures import Picture
from tests.browser.sound import heard_by
from tests.browser.test_accessibility import SCHEMES, assert_accessible
from tests.browser.test_panel import caller  # noqa: F401 - a fixture
from tests.browser.upstream_process import UpstreamProcess

ANSWER = "one two three four five six seven eight nine ten eleven twelve"

# A microphone that hears a tone for as long as it is open: when it is looked at does not matter.
HUMMING = """
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: 330 });
    const end = new MediaStreamAudioDestinationNode(context);
    tone.connect(new GainNode(context, { gain: 0.3 })).connect(end);
    tone.start();
    return end.stream;
  };
"""


@SCHEMES
def test_the_drawer_tells_of_connection_answer_and_session(
    caller: Callable[..., Person],  # noqa: F811
    picture: Picture,
    scheme: str,
) -> None:
    ada = caller(color_scheme=scheme)
    ada.chat.await_row("assistant", r"\w")
    ada.chat.await_state("listening", within_ms=60_000)
    ada.page.get_by_role("button", name="Details of the call").click()
    drawer = ada.page.locator("#voice-details")
    expect(drawer.locator("[data-fact=turns]")).to_contain_text(re.compile(r"^1, median \d+ ms"))
    expect(drawer.locator("[data-stage=heardMs]")).to_contain_text(re.compile(r"\d+ ms"))
    expect(drawer.locator("[data-fact=session]")).to_have_text(str(RealtimeSession.objects.get().pk))
    expect(drawer.locator("[data-fact=voice]")).to_have_text("marin")
    expect(drawer.locator("[data-fact=sound]")).to_contain_text(re.compile(r"24 kHz → \d+(\.\d)? kHz"))
    expect(drawer.locator("[data-fact=connection]")).to_contain_text(re.compile(r"\d+ ms"), timeout=30_000)
    drawer.get_by_text("Events").click()
    drawer.get_by_role("searchbox").fill("transcript")
    names = drawer.locator("[data-part=events] li")
    assert names.count() > 0
    assert all("transcript" in name for name in names.all_inner_texts())
    picture(f"details-{scheme}")
    assert_accessible(ada.page, "details")
    ada.page.locator("#voice-panel").focus()
    ada.page.keyboard.press("d")
    expect(drawer).to_be_hidden()
    ada.chat.end_call()


def test_a_voice_is_of_the_next_call_which_can_begin_at_once(
    caller: Callable[..., Person],  # noqa: F811
    picture: Picture,
) -> None:
    ada = caller()
    ada.page.locator("[data-act=settings]").click()
    again = ada.page.get_by_role("button", name="Start the call again with this voice")
    expect(again).to_be_hidden()
    ada.page.locator("#voice-settings [data-set=voice]").select_option("cedar")
    expect(again).to_be_visible()
    assert Preferences.objects.get(owner=ada.user).voice == "cedar"
    picture("voice-chosen")
    again.click()
    eventually(lambda: RealtimeSession.objects.filter(voice="cedar").exists(), "a call with the new voice")
    ada.chat.await_call()
    ada.chat.end_call()
    ada.page.reload()
    expect(ada.page.locator("#voice-settings [data-set=voice]")).to_have_value("cedar")


@pytest.fixture
def long_answer(tmp_path: Path) -> Iterator[UpstreamProcess]:
    """An upstream whose whole text comes before six seconds of sound."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"says": ANSWER, "audio_ms": 6_000}]))
    with UpstreamProcess("--script", str(script)) as upstream:
        yield upstream


def test_captions_brighten_as_the_answer_is_heard_and_stay_grey_where_it_was_not(
    person: Callable[..., Person],
    picture: Picture,
    upstream_is: Callable[[str], None],
    long_answer: UpstreamProcess,
) -> None:
    upstream_is(long_answer.url)
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_call()
    caption = ada.page.locator("[data-part=caption]")
    said = caption.locator(".said")
    expect(caption).to_have_text(ANSWER, timeout=60_000)
    expect(said).to_have_text(re.compile(r"^one two"))
    assert len(said.inner_text()) < len(ANSWER)
    picture("captions")
    ada.page.locator("[data-act=interrupt]").click()
    expect(ada.page.locator("#messages [data-status=interrupted]").first).to_be_visible()
    heard = said.inner_text()
    assert heard.startswith("one two")
    assert len(heard) < len(ANSWER), "nobody waited six seconds"
    ada.page.wait_for_timeout(600)  # long enough for a change that should not come
    assert (said.inner_text(), caption.inner_text()) == (heard, ANSWER)
    ada.chat.end_call()


@pytest.fixture
def unsure_ears(tmp_path: Path) -> Iterator[UpstreamProcess]:
    """An upstream that guesses what it hears."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"hears": "Converts both males belong in.", "sure": 0.4, "audio_ms": 300}]))
    with UpstreamProcess("--script", str(script)) as upstream:
        yield upstream


def test_words_that_were_guessed_can_be_edited_and_sent(
    person: Callable[..., Person],
    picture: Picture,
    upstream_is: Callable[[str], None],
    unsure_ears: UpstreamProcess,
) -> None:
    upstream_is(unsure_ears.url)
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_call()
    row = ada.chat.rows("user").first
    expect(row).to_contain_text("Not sure I heard that.", timeout=60_000)
    ada.chat.await_state("listening", within_ms=60_000)
    picture("unsure")
    assert_accessible(ada.page, "unsure")
    ada.page.locator("#composer-text").fill("I said:")
    row.get_by_role("button", name="Edit").click()
    box = ada.page.locator("#composer-text")
    expect(box).to_be_focused()
    expect(box).to_have_value("I said:\nConverts both males belong in.")
    box.fill("Convert twelve miles to kilometres.")
    box.press("Enter")
    ada.chat.await_row("user", "twelve miles")
    expect(ada.chat.rows("user").last.get_by_role("button", name="Edit")).to_be_hidden()
    ada.chat.end_call()
    eventually(lambda: Message.objects.filter(unsure=True).exists(), "the doubt is stored")
    services.save_preferences(owner=ada.user, language="de")
    ada.page.reload()
    again = ada.chat.rows("user").first
    expect(again).to_contain_text("Ich bin nicht sicher, ob ich das verstanden habe.")
    picture("unsure-after-a-reload")
    again.get_by_role("button", name="Ändern").click()
    expect(box).to_have_value("Converts both males belong in.")


@SCHEMES
def test_more_settings_are_kept_and_hold_from_the_next_call_on(
    caller: Callable[..., Person],  # noqa: F811
    picture: Picture,
    scheme: str,
) -> None:
    ada = caller(color_scheme=scheme)
    ada.page.locator("[data-act=settings]").click()
    settings = ada.page.locator("#voice-settings")
    again = settings.get_by_role("button", name="Start the call again with these settings")
    settings.get_by_text("More settings").click()
    settings.get_by_label("Captions show").select_option("large")
    expect(ada.chat.panel).to_have_attribute("data-captions", "large")
    expect(again).to_be_hidden()
    settings.get_by_label("Background noise").select_option("far_field")
    settings.get_by_label("Language you speak").select_option("nl")
    settings.get_by_label("The call ends by itself").select_option("60")
    settings.get_by_label("My voice interrupts the answer").uncheck()
    expect(again).to_be_visible()
    settings.get_by_label("Answers are").select_option("written")
    picture(f"more-settings-{scheme}")
    assert_accessible(ada.page, "more settings")
    chosen = Preferences.objects.filter(
        caption_style="large", noise_reduction="far_field", speech_language="nl", answers="written"
    )
    eventually(lambda: chosen.filter(end_after_sec=60, interruptible=False).exists(), "all is kept")
    again.click()
    eventually(lambda: RealtimeSession.objects.count() == 2, "a second call")
    ada.chat.await_call()
    asked = ada.chat.rows("assistant").count()
    ada.chat.say_in_writing("What is six times seven?")
    ada.chat.await_row("assistant", r"42|forty[- ]two")
    assert ada.chat.rows("assistant").count() > asked
    expect(
        ada.page.locator("#messages .message[data-role=assistant][data-modality=text]").last
    ).to_be_visible()
    ada.chat.end_call()
    ada.page.reload()
    expect(ada.page.locator("#voice-settings [data-set=answers]")).to_have_value("written")


def test_ones_own_numbers_hold_at_once_and_nonsense_is_not_sent(
    caller: Callable[..., Person],  # noqa: F811
    picture: Picture,
) -> None:
    ada = caller()
    ada.page.locator("[data-act=settings]").click()
    settings = ada.page.locator("#voice-settings")
    settings.get_by_label("When to answer").select_option("custom")
    settings.get_by_label("Silence, in ms").fill("20")
    settings.get_by_label("How loud speech must be").fill("0.8")
    settings.get_by_label("Silence, in ms").fill("900")
    settings.get_by_label("Silence, in ms").blur()
    picture("own-numbers")
    numbers = {"type": "server_vad", "threshold": 0.8, "prefix_padding_ms": 300, "silence_duration_ms": 900}
    eventually(lambda: Preferences.objects.get(owner=ada.user).turn_custom == numbers, "they are kept")
    assert Preferences.objects.get(owner=ada.user).turn_preset == "custom"
    ada.page.get_by_role("button", name="Details of the call").click()
    expect(ada.page.locator("[data-fact=turn-detection]")).to_have_text("server_vad, 900 ms")
    settings.get_by_label("Your turn is over").select_option("semantic_vad")
    settings.get_by_label("How soon it answers").select_option("low")
    eventually(
        lambda: (
            Preferences.objects.get(owner=ada.user).turn_custom
            == {"type": "semantic_vad", "eagerness": "low"}
        ),
        "the other kind has its own",
    )
    ada.chat.end_call()


def test_a_voice_is_heard_before_it_is_chosen(
    person: Callable[..., Person], picture: Picture, settings: Any, tmp_path: Path
) -> None:
    settings.REALTIME_SAMPLES_DIR = tmp_path
    ada = person()
    ada.chat.open()
    ada.page.get_by_role("button", name="Check the microphone").click()
    check = ada.page.get_by_role("dialog")
    check.locator("[data-set=voice]").select_option("cedar")
    hear = check.get_by_role("button", name="Hear this voice")
    with ada.page.expect_response("**/api/voice/samples/cedar") as heard:
        hear.click()
    expect(hear).to_have_attribute("aria-pressed", "true")
    picture("voice-sample")
    assert heard.value.headers["content-type"] == "audio/wav"
    expect(hear).to_have_attribute("aria-pressed", "false")  # it came to its end
    eventually(
        lambda: Preferences.objects.filter(owner=ada.user, voice="cedar").exists(), "the choice is kept"
    )
    assert not RealtimeSession.objects.exists()
    check.get_by_role("button", name="Close").click()


def test_a_voice_that_cannot_be_heard_says_so(
    caller: Callable[..., Person],  # noqa: F811
    settings: Any,
    tmp_path: Path,
    console: Console,
) -> None:
    console.allow("503")  # the browser tells of each answer of that kind
    ada = caller()
    settings.REALTIME_SAMPLES_DIR = tmp_path
    settings.REALTIME_BASE_URL = "ws://127.0.0.1:9/v1/realtime"
    ada.page.locator("[data-act=settings]").click()
    ada.page.locator("#voice-settings").get_by_role("button", name="Hear this voice").click()
    expect(ada.page.locator("#voice-note")).to_contain_text("gives no sample right now")
    ada.chat.end_call()


def test_keys_can_be_changed_and_switched_off(caller: Callable[..., Person]) -> None:  # noqa: F811
    ada = caller()
    ada.page.locator("#voice-panel").focus()
    ada.page.keyboard.press("?")
    ada.page.locator("[data-key=mute]").fill("x")
    ada.page.locator("[data-key=captions]").fill("")
    ada.page.locator("#voice-panel").focus()
    mute = ada.page.locator("[data-act=mute]")
    for key in ("m", "c"):
        ada.page.keyboard.press(key)
    expect(mute).to_have_attribute("aria-pressed", "false")
    expect(ada.page.locator("[data-act=captions]")).to_have_attribute("aria-pressed", "true")
    ada.page.keyboard.press("x")
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(mute).to_have_attribute("aria-keyshortcuts", "X")
    expect(ada.page.locator(".controls [data-act=captions]")).not_to_have_attribute("aria-keyshortcuts", "C")
    ada.chat.end_call()
    ada.chat.start_voice()  # still muted, and somebody speaks
    expect(ada.page.locator("#voice-status")).to_contain_text("Press X to talk.")
    ada.chat.end_call()
    ada.page.reload()
    ada.page.locator("#voice-button").hover()
    expect(ada.page.locator("[data-key=mute]")).to_have_value("x")


def test_volume_and_microphone_are_one_press_away_and_another_speaker_can_be_chosen(
    caller: Callable[..., Person],  # noqa: F811
) -> None:
    ada = caller()
    ada.page.get_by_role("button", name="Volume and speaker").click()
    expect(ada.page.locator("[data-set=volume]")).to_be_focused()
    ada.page.get_by_role("button", name="Choose the microphone").click()
    expect(ada.page.locator("[data-set=microphone]")).to_be_focused()
    outputs = ada.page.locator("[data-set=output]")
    eventually(lambda: outputs.locator("option").count() > 1, "the speakers are listed")
    outputs.select_option(index=1)
    chosen = outputs.input_value()
    ada.page.wait_for_function(
        "async (id) => (await import('/static/voice/contexts.js')).playoutContext().sinkId === id", arg=chosen
    )
    ada.chat.end_call()


@SCHEMES
def test_the_microphone_is_checked_before_the_first_call(
    person: Callable[..., Person], picture: Picture, scheme: str
) -> None:
    ada = person(color_scheme=scheme)
    ada.page.add_init_script(HUMMING)
    ada.chat.open()
    ada.page.get_by_role("button", name="Check the microphone").click()
    check = ada.page.get_by_role("dialog")
    check.get_by_role("button", name="Hear yourself").click()
    expect(check).to_contain_text("Speak now")
    picture(f"check-{scheme}")
    expect(check).to_contain_text("Did you hear yourself?", timeout=30_000)
    expect(check).to_contain_text(re.compile("The room is quiet|some noise|noisy"))
    assert heard_by(ada.page).audible_ms > 300, "what the microphone heard"
    assert_accessible(ada.page, "check")
    assert not RealtimeSession.objects.exists(), "what is said in the check stays in the page"
    check.get_by_role("button", name="Start voice").click()
    ada.chat.await_call()
    ada.chat.end_call()


def test_a_refused_microphone_is_told_in_the_check(person: Callable[..., Person], picture: Picture) -> None:
    ada = person(microphone=False)
    ada.chat.open()
    ada.page.get_by_role("button", name="Check the microphone").click()
    check = ada.page.get_by_role("dialog")
    expect(check.get_by_role("alert")).to_contain_text("Microphone access is blocked")
    expect(check.get_by_text("Say something")).to_be_hidden()
    picture("check-refused")
    ada.page.context.grant_permissions(["microphone"], origin=ada.chat.origin)
    check.get_by_role("button", name="Try again").click()
    expect(check.get_by_role("alert")).to_be_hidden()
    expect(check.get_by_role("button", name="Hear yourself")).to_be_enabled()
    expect(check.get_by_role("button", name="Start voice")).to_be_visible()
    ada.page.keyboard.press("Escape")
    expect(check).to_be_hidden()
