"""The promise of the project, in a real browser: speak, and be answered aloud. Troubles are in test_troubles.py."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from conversations.models import Message
from realtime.local.recognizer import Recognizer
from realtime.models import RealtimeSession
from tests.browser.conftest import PASSWORD, Person, eventually
from tests.browser.sound import heard_by

QUESTION = r"(seven|7) (times|x|×) (eight|8)"
ANSWER = r"fifty[- ]six|56"


def test_a_spoken_question_is_written_down_answered_aloud_and_kept(person: Callable[..., Person]) -> None:
    ada = person("ada", logged_in=False)
    ada.chat.log_in("ada", PASSWORD)
    ada.chat.start_voice()
    ada.chat.await_call()

    ada.chat.await_row("user", QUESTION)
    ada.chat.await_row("assistant", ANSWER)
    eventually(lambda: heard_by(ada.page).audible_ms >= 500, "the answer is played")
    ada.chat.await_state("listening", within_ms=60_000)  # it was heard to its end
    heard = heard_by(ada.page)
    assert heard.audible_ms >= 500
    assert heard.peak > 0.05
    assert "six" in heard.words(Recognizer()) or "56" in heard.words(Recognizer())

    ada.chat.end_call()
    eventually(lambda: RealtimeSession.objects.exclude(ended_at=None).count() == 1, "the session is closed")
    kept = [(message.role, message.text) for message in Message.objects.in_order()]
    assert [role for role, _ in kept] == ["user", "assistant"]
    assert kept == ada.chat.texts()
    assert {message.modality for message in Message.objects.all()} == {"voice"}
    assert Message.objects.get(role="user").conversation.owner == ada.user


def test_what_a_call_needs_is_loaded_when_somebody_reaches_for_the_button(
    person: Callable[..., Person],
) -> None:
    ada = person()
    loaded: list[str] = []
    ada.page.on("request", lambda request: loaded.append(request.url))
    ada.chat.open()
    ada.page.wait_for_load_state("networkidle")
    assert not [
        url for url in loaded if url.endswith(("voice/main.js", "voice/panel.js", "worklets/capture.js"))
    ]
    with ada.page.expect_response("**/voice/panel.js"):
        ada.page.locator("#voice-button").hover()
    expect(ada.chat.panel).to_be_hidden()


def test_what_was_said_is_still_there_after_a_reload(person: Callable[..., Person]) -> None:
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_row("assistant", ANSWER)
    ada.chat.await_state("listening", within_ms=60_000)
    said = ada.chat.texts()
    ada.chat.end_call()

    ada.page.reload()
    expect(ada.chat.rows()).to_have_count(len(said))
    assert ada.chat.texts() == said


def test_typed_text_goes_into_the_running_call(person: Callable[..., Person]) -> None:
    ada = person()
    ada.chat.open().start_voice()
    ada.chat.await_row("assistant", ANSWER)
    ada.chat.await_state("listening", within_ms=60_000)
    before = heard_by(ada.page).audible_ms

    ada.chat.say_in_writing("What is nine plus ten?")
    ada.chat.await_row("user", "nine plus ten")
    ada.chat.await_row("assistant", "nineteen|19")
    eventually(lambda: heard_by(ada.page).audible_ms >= before + 400, "the answer is spoken")
    assert RealtimeSession.objects.count() == 1
    assert [role for role, _ in ada.chat.texts()] == ["user", "assistant"] * 2


def test_a_second_call_goes_on_in_the_same_conversation(person: Callable[..., Person]) -> None:
    ada = person()
    ada.chat.open()
    for calls in (1, 2):
        ada.chat.start_voice()
        expect(ada.chat.rows("assistant").filter(has_text="6")).to_have_count(calls, timeout=60_000)
        ada.chat.await_state("listening", within_ms=60_000)
        ada.chat.end_call()
    eventually(
        lambda: RealtimeSession.objects.exclude(ended_at=None).count() == 2, "both sessions are closed"
    )
    assert Message.objects.values("conversation").distinct().count() == 1
    assert [role for role, _ in ada.chat.texts()] == ["user", "assistant"] * 2
