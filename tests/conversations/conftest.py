"""Conversations and messages for the tests of this folder."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User

from conversations.models import Conversation, Message
from conversations.services import create_conversation, record_message

SESSION_ID = UUID("00000000-0000-4000-8000-000000000001")


@pytest.fixture
def talk(ada: User) -> Conversation:
    """A conversation of Ada's, without a title or messages."""
    return create_conversation(owner=ada)


@pytest.fixture
def bobs_talk(bob: User) -> Conversation:
    """A conversation of Bob's with one message."""
    conversation = create_conversation(owner=bob, title="Bob's secret garden")
    say(conversation, text="Where do I bury the turnips?", item_id="bob-1")
    return conversation


def say(conversation: Conversation, **changes: Any) -> Message:
    """Record one message as the relay does; a completed typed user message unless told otherwise."""
    record = {
        "conversation_id": conversation.pk,
        "session_id": SESSION_ID,
        "item_id": f"item-{uuid4().hex[:8]}",
        "position": 1,
        "role": "user",
        "modality": "text",
        "status": "completed",
        "text": "Hello",
    }
    message = record_message(**(record | changes))
    assert message is not None
    return message


@pytest.fixture
def many_messages(talk: Conversation) -> Conversation:
    """Ada's conversation with 1,000 messages at the positions 1 to 1,000."""
    Message.objects.bulk_create(
        Message(
            conversation=talk,
            session_id=SESSION_ID,
            item_id=f"item-{number}",
            position=number,
            role="user" if number % 2 else "assistant",
            modality="text",
            status="completed",
            text=f"Message **{number}**",
        )
        for number in range(1, 1_001)
    )
    return talk


@pytest.fixture
def begin_many(ada: User) -> Callable[[int], list[Conversation]]:
    """`begin_many(1_000)`: that many titled conversations of Ada's."""

    def begin(count: int) -> list[Conversation]:
        return Conversation.objects.bulk_create(
            Conversation(owner=ada, title=f"Talk {number}") for number in range(count)
        )

    return begin
