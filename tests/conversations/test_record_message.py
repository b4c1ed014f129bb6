"""Storing what was said: once per item, never backwards, in the order of speaking."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection

from conversations.models import STRETCH_BITS, Conversation, Message
from conversations.services import begin_stretch, delete_conversation, record_message
from tests.conversations.conftest import SESSION_ID, say


def texts(conversation: Conversation) -> list[str]:
    return list(conversation.messages.in_order().values_list("text", flat=True))


def test_the_same_record_again_changes_nothing(talk: Conversation) -> None:
    first = say(talk, item_id="a", text="Hello")
    talk.refresh_from_db()
    activity = talk.updated_at
    second = say(talk, item_id="a", text="Hello")
    talk.refresh_from_db()
    assert second.pk == first.pk
    assert second.updated_at == first.updated_at
    assert talk.updated_at == activity
    assert talk.messages.count() == 1


def test_a_later_record_completes_the_message(talk: Conversation) -> None:
    pending = say(talk, item_id="a", status="pending", text="")
    say(
        talk, item_id="a", status="interrupted", text="One two", heard_chars=3, heard_ms=400, generated_ms=900
    )
    pending.refresh_from_db()
    assert (pending.status, pending.text, pending.heard_text) == ("interrupted", "One two", "One")
    assert (pending.heard_ms, pending.generated_ms) == (400, 900)


def test_a_doubt_is_kept_and_what_an_earlier_version_writes_raises_none(talk: Conversation) -> None:
    doubted = say(talk, item_id="a", status="pending", text="")
    say(talk, item_id="a", text="Converts both males", unsure=True)
    doubted.refresh_from_db()
    assert doubted.unsure
    # In the middle of a deployment: the version before does not know the column.
    columns = [field.column for field in Message._meta.fields if field.name != "unsure"]
    anew = ["%s" if column in ("id", "item_id") else column for column in columns]
    table = Message._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(anew)} FROM {table}",  # noqa: S608 - names of our own
            [uuid4().hex, "b"],
        )
    assert not Message.objects.get(item_id="b").unsure


@pytest.mark.parametrize("settled", ["completed", "interrupted", "failed", "unanswered"])
def test_a_settled_message_is_never_pending_again(talk: Conversation, settled: str) -> None:
    message = say(talk, item_id="a", status=settled, text="All of it")
    say(talk, item_id="a", status="pending", text="All")
    message.refresh_from_db()
    assert (message.status, message.text) == (settled, "All of it")


def test_a_saved_message_can_turn_out_to_be_unanswered(talk: Conversation) -> None:
    message = say(talk, item_id="a")
    say(talk, item_id="a", status="unanswered")
    message.refresh_from_db()
    assert message.status == "unanswered"


def test_messages_are_ordered_by_position_whatever_order_they_arrive_in(talk: Conversation) -> None:
    for position, text in [(3, "third"), (1, "first"), (2, "second")]:
        say(talk, position=position, text=text)
    assert texts(talk) == ["first", "second", "third"]


def test_sessions_never_interleave_however_late_their_records_arrive(talk: Conversation) -> None:
    earlier, later = begin_stretch(conversation=talk), begin_stretch(conversation=talk)
    say(talk, session_id=uuid4(), position=later, text="later")
    say(talk, session_id=uuid4(), position=earlier + (1 << STRETCH_BITS) - 1, text="earlier")
    assert texts(talk) == ["earlier", "later"]


def test_the_same_item_id_in_two_sessions_is_two_messages(talk: Conversation) -> None:
    say(talk, item_id="a", text="one")
    say(talk, item_id="a", text="two", session_id=uuid4(), position=2)
    assert texts(talk) == ["one", "two"]


def test_a_conversation_that_is_gone_takes_no_message(db: None) -> None:
    record = {"item_id": "a", "position": 1, "role": "user", "modality": "text", "status": "completed"}
    assert record_message(conversation_id=uuid4(), session_id=SESSION_ID, **record) is None
    assert Message.objects.count() == 0


def test_a_deleted_conversation_still_takes_what_was_said_until_then(talk: Conversation) -> None:
    delete_conversation(conversation=talk)
    say(talk, text="last words")
    assert texts(talk) == ["last words"]


def test_signs_that_no_database_keeps_are_replaced_one_for_one(talk: Conversation) -> None:
    message = say(talk, role="assistant", text="a\x00b\ud83dc", status="interrupted", heard_chars=3)
    message.refresh_from_db()
    assert message.text == "a\ufffdb\ufffdc"
    assert message.heard_text == "a\ufffdb"


@pytest.mark.parametrize(("claimed", "stored"), [(99, 5), (-1, 0), (2, 2), (None, None)])
def test_what_was_heard_is_within_the_text(
    talk: Conversation, claimed: int | None, stored: int | None
) -> None:
    assert say(talk, text="Hello", heard_chars=claimed).heard_chars == stored


def test_activity_moves_the_conversation_to_the_top(talk: Conversation, ada: User) -> None:
    newer = Conversation.objects.create(owner=ada)
    say(talk)
    assert list(Conversation.objects.owned_by(ada)) == [talk, newer]


class TestSentAgain:
    """A typed message that the page sends again under the same `client_id`, through a later session."""

    def again(self, talk: Conversation, **changes: Any) -> Message:
        sent = {
            "session_id": uuid4(),
            "item_id": "again",
            "position": 50,
            "client_id": "c1",
            "text": "Anyone?",
        }
        return say(talk, **(sent | changes))

    @pytest.mark.parametrize("status", ["unanswered", "pending", "failed"])
    def test_one_that_had_no_answer_moves_to_its_new_place(self, talk: Conversation, status: str) -> None:
        first = say(talk, client_id="c1", status=status, text="Anyone?", position=1)
        say(talk, text="In between", position=2)
        assert self.again(talk).pk == first.pk
        assert texts(talk) == ["In between", "Anyone?"]

    def test_one_that_had_an_answer_stays_above_it(self, talk: Conversation) -> None:
        first = say(talk, client_id="c1", text="Anyone?", position=1)
        say(talk, role="assistant", text="Me.", position=2)
        assert self.again(talk).pk == first.pk
        assert texts(talk) == ["Anyone?", "Me."]

    def test_a_late_record_of_the_first_session_does_not_move_it_back(self, talk: Conversation) -> None:
        first_session = uuid4()
        say(talk, client_id="c1", status="unanswered", session_id=first_session, item_id="a", position=1)
        moved = self.again(talk, status="pending")
        say(talk, client_id="c1", status="unanswered", session_id=first_session, item_id="a", position=1)
        moved.refresh_from_db()
        assert (moved.position, moved.status) == (50, "pending")

    def test_the_same_name_in_another_conversation_is_another_message(
        self, talk: Conversation, bob: User
    ) -> None:
        other = Conversation.objects.create(owner=bob)
        say(talk, client_id="c1", status="unanswered")
        self.again(other)
        assert (talk.messages.count(), other.messages.count()) == (1, 1)


class TestTitle:
    """When a conversation gets its title."""

    def exchange(
        self, talk: Conversation, asked: str = "What is bread?", answered: str = "Baked dough."
    ) -> str:
        say(talk, item_id="q", text=asked, position=1)
        say(talk, item_id="a", role="assistant", text=answered, position=2)
        talk.refresh_from_db()
        return talk.title

    def test_the_first_exchange_makes_it(self, talk: Conversation) -> None:
        assert self.exchange(talk) == "What is bread?"

    def test_a_question_alone_does_not(self, talk: Conversation) -> None:
        say(talk, text="What is bread?")
        talk.refresh_from_db()
        assert talk.title == ""

    def test_it_waits_for_a_transcript_that_comes_after_the_answer(self, talk: Conversation) -> None:
        say(talk, item_id="q", status="pending", text="", modality="voice", position=1)
        say(talk, item_id="a", role="assistant", text="Baked dough.", position=2)
        talk.refresh_from_db()
        assert talk.title == ""
        say(talk, item_id="q", text="What is bread?", modality="voice", position=1)
        talk.refresh_from_db()
        assert talk.title == "What is bread?"

    def test_a_failed_transcript_leaves_it_to_the_answer(self, talk: Conversation) -> None:
        say(talk, item_id="q", status="failed", text="", modality="voice", position=1)
        say(talk, item_id="a", role="assistant", text="Baked dough.", position=2)
        talk.refresh_from_db()
        assert talk.title == "Baked dough"

    def test_an_unanswered_message_is_passed_over(self, talk: Conversation) -> None:
        say(talk, status="unanswered", text="Is anybody there?", position=0)
        assert self.exchange(talk) == "What is bread?"

    def test_a_later_exchange_does_not_change_it(self, talk: Conversation) -> None:
        self.exchange(talk)
        say(talk, item_id="q2", text="And cake?", position=3)
        say(talk, item_id="a2", role="assistant", text="Sweeter.", position=4)
        talk.refresh_from_db()
        assert talk.title == "What is bread?"

    def test_the_title_of_a_person_stays(self, ada: User) -> None:
        talk = Conversation.objects.create(owner=ada, title="Mine", titled_by_person=True)
        assert self.exchange(talk) == "Mine"
