"""The promise of the project in Firefox and WebKit: speak and be answered aloud, type and be answered."""

from __future__ import annotations

import re
from pathlib import Path

from conversations.models import Message
from realtime.local.recognizer import Recognizer
from realtime.models import RealtimeSession
from tests.browser.conftest import eventually
from tests.browser.engines.sound_card import SoundCard
from tests.browser.engines.tab import Tab
from tests.browser.pictures import Picture

QUESTION = r"(seven|7) (times|x|×) (eight|8)"
ANSWER = r"fifty[- ]six|56"


def test_a_spoken_question_is_written_down_answered_aloud_and_kept(
    ada: Tab, card: SoundCard, question_wav: Path, picture: Picture
) -> None:
    with card.recording() as loudspeaker:
        ada.engine.click("#voice-button")
        ada.await_state()
        card.say(question_wav)
        ada.await_row("user", QUESTION)
        ada.await_row("assistant", ANSWER)
        picture("answered")
        ada.await_state("listening")  # the page says that it was heard to its end
        recognizer = Recognizer()

        def is_understood() -> bool:
            return bool(re.search(r"six|56", loudspeaker.heard().words(recognizer)))

        eventually(is_understood, "the answer comes out of the loudspeaker")

    ada.engine.click("#voice-panel [data-act=end]")
    ada.await_state("ended")
    picture("ended")
    eventually(lambda: RealtimeSession.objects.exclude(ended_at=None).count() == 1, "the session is closed")
    kept = [(message.role, message.text) for message in Message.objects.in_order()]
    assert [role for role, _ in kept] == ["user", "assistant"]
    assert kept == ada.texts()


def test_a_typed_message_is_answered_and_kept(ada: Tab, picture: Picture) -> None:
    ada.engine.type("#composer-text", "What is seven times eight?")
    ada.engine.click("#send-button")
    ada.await_row("assistant", ANSWER)
    picture("typed")
    eventually(lambda: Message.objects.filter(status="completed").count() == 2, "both messages are stored")
    kept = [(message.role, message.text, message.modality) for message in Message.objects.in_order()]
    assert kept[0] == ("user", "What is seven times eight?", "text")
    assert ada.texts() == [(role, text) for role, text, _ in kept]
