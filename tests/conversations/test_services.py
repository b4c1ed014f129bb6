"""Renaming, archiving, deleting and searching."""

import pytest
from django.contrib.auth.models import User

from conversations import services
from conversations.models import Conversation, Preferences
from tests.conversations.conftest import say


def listed(owner: User) -> list[Conversation]:
    return list(Conversation.objects.owned_by(owner))


def test_a_renamed_conversation_keeps_its_place(talk: Conversation) -> None:
    activity = talk.updated_at
    services.rename_conversation(conversation=talk, title="  My\n bread  ")
    talk.refresh_from_db()
    assert (talk.title, talk.titled_by_person, talk.updated_at) == ("My bread", True, activity)


def test_an_empty_name_brings_the_automatic_title_back(talk: Conversation) -> None:
    services.rename_conversation(conversation=talk, title="Mine")
    say(talk, text="What is bread?", position=1)
    say(talk, role="assistant", text="Dough.", position=2)
    services.rename_conversation(conversation=talk, title=" ")
    assert (talk.title, talk.titled_by_person) == ("What is bread?", False)


def test_archiving_again_keeps_the_first_date(talk: Conversation) -> None:
    services.archive_conversation(conversation=talk)
    first = talk.archived_at
    services.archive_conversation(conversation=talk)
    assert first is not None
    assert talk.archived_at == first
    services.unarchive_conversation(conversation=talk)
    assert list(Conversation.objects.archived(False)) == [talk]


def test_a_deleted_conversation_is_hidden_and_comes_back_whole(talk: Conversation, ada: User) -> None:
    say(talk, text="Remember me")
    services.archive_conversation(conversation=talk)
    services.delete_conversation(conversation=talk)
    assert listed(ada) == []
    services.restore_conversation(conversation=talk)
    assert listed(ada) == [talk]
    assert talk.archived_at is not None
    assert talk.messages.get().text == "Remember me"


@pytest.mark.parametrize("words", ["bread", "BREAD", "ÜBER", "über", "50%", "dough is"])
def test_words_are_found_in_titles_and_texts_in_either_case(
    talk: Conversation, ada: User, words: str
) -> None:
    services.rename_conversation(conversation=talk, title="Über bread")
    say(talk, text="The dough is 50% water")
    services.create_conversation(owner=ada, title="50 cakes")
    assert list(Conversation.objects.owned_by(ada).matching(words)) == [talk]


def test_two_messages_with_the_words_find_a_conversation_once(talk: Conversation, ada: User) -> None:
    say(talk, text="bread")
    say(talk, text="more bread")
    assert Conversation.objects.owned_by(ada).matching("bread").count() == 1


def test_preferences_are_the_defaults_until_one_is_saved(ada: User) -> None:
    assert Preferences.of(ada).turn_preset == "normal"
    assert not Preferences.objects.exists()
    services.save_preferences(owner=ada, theme="dark")
    services.save_preferences(owner=ada, voice="cedar")
    stored = Preferences.objects.get()
    assert (stored.owner, stored.theme, stored.voice, stored.turn_preset) == (ada, "dark", "cedar", "normal")
