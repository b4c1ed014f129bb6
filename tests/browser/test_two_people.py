"""Two people at the same time: neither ever sees anything of the other's."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from conversations.models import Conversation, Message
from realtime.models import RealtimeSession
from tests.browser.conftest import Console, Person, eventually
from tests.browser.sound import heard_by


def test_two_people_in_calls_at_once_see_and_hear_their_own_alone(person: Callable[..., Person]) -> None:
    ada, bob = person("ada"), person("bob")
    sums = {ada: ("What is ten plus one?", "eleven|11"), bob: ("What is ten plus two?", "twelve|12")}
    for somebody in sums:
        somebody.chat.open()
    for somebody in sums:  # close together: both tabs hear the same file at their microphones
        somebody.chat.start_voice()
    for somebody in sums:
        somebody.chat.await_row("assistant", "fifty-six|56")
        somebody.chat.await_state("listening", within_ms=60_000)
    for somebody, (question, _) in sums.items():
        somebody.chat.say_in_writing(question)
    for somebody, (_, answer) in sums.items():
        somebody.chat.await_row("assistant", answer)
        somebody.chat.await_state("listening", within_ms=60_000)
        assert heard_by(somebody.page).audible_ms >= 500
    for somebody in sums:
        somebody.chat.end_call()

    eventually(
        lambda: RealtimeSession.objects.exclude(ended_at=None).count() == 2, "both sessions are closed"
    )
    eventually(lambda: Message.objects.count() == 8, "all eight messages are stored")
    for somebody, (question, _) in sums.items():
        texts = [text for _, text in somebody.chat.texts()]
        assert len(texts) == 4
        assert question in texts
        own = Message.objects.filter(conversation__owner=somebody.user).in_order()
        assert [message.text for message in own] == texts
    assert sums[bob][0] not in ada.page.content()
    assert sums[ada][0] not in bob.page.content()


def test_the_address_of_anothers_conversation_leads_nowhere(
    person: Callable[..., Person], console: Console
) -> None:
    console.allow("404")  # the browser's report of the page that is not there
    ada, bob = person("ada", microphone=False), person("bob", microphone=False)
    ada.chat.open()
    ada.chat.say_in_writing("My secret word is heron.")
    ada.chat.await_row("assistant", ".")
    conversation = Conversation.objects.get()
    assert conversation.owner == ada.user

    for path in (f"/chat/{conversation.pk}/", f"/api/conversations/{conversation.pk}/"):
        answer = bob.page.goto(bob.chat.origin + path)
        assert answer is not None
        assert answer.status == 404
        assert "heron" not in bob.page.content()
    bob.chat.open()
    expect(bob.page.locator("#conversation-list .conversation")).to_have_count(0)
