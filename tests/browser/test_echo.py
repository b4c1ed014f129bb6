"""The microphone hears the loudspeaker, as without headphones: the assistant does not interrupt itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conversations.models import Message
from tests.browser.conftest import Person, eventually
from tests.browser.sound import heard_by

ROOM = Path(__file__).with_name("echoing_room.js")


def test_the_assistant_does_not_interrupt_itself_in_a_browser_that_removes_no_echo(
    person: Callable[..., Person],
) -> None:
    ada = person()
    ada.page.add_init_script(path=ROOM)
    ada.chat.open().start_voice()
    ada.chat.await_call()
    ada.chat.say_in_writing("What can you do?")  # a long answer
    ada.chat.await_state("speaking", within_ms=60_000)
    ada.chat.await_state("listening", within_ms=60_000)  # it was heard to its end, or cut off
    assert heard_by(ada.page).audible_ms > 3_000, "the answer is long enough to be heard as speech"
    ada.chat.end_call()
    eventually(lambda: Message.objects.filter(role="assistant").exists(), "the answer is kept")
    assert [role for role, _ in ada.chat.texts()] == ["user", "assistant"], "it heard itself"
    assert Message.objects.get(role="assistant").status == "completed"
