"""What the admin hides cannot be asked for either: a list filtered by it would give it away letter by letter."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.models import Conversation
from conversations.services import create_conversation, record_message
from realtime.models import RealtimeSession

LISTS = {
    "conversation": "/admin/conversations/conversation/",
    "session": "/admin/realtime/realtimesession/",
    "usage": "/admin/realtime/usagerecord/",
    "audit": "/admin/conversations/auditentry/",
    "user": "/admin/auth/user/",
}


@pytest.fixture
def talk(ada: User) -> Conversation:
    """A conversation of Ada's with a session, whose words and whose login are to be hidden."""
    conversation = create_conversation(owner=ada, title="turnips")
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, conversation=conversation, modality="voice", engine="local", model="m",
        auth_hash="canary-auth", login_key="canary-login",
    )  # fmt: skip
    session.usage.create(meter="response", reference="r")
    record_message(
        conversation_id=conversation.pk, session_id=session.pk, item_id="i", position=1, role="user",
        modality="text", status="completed", text="turnips",
    )  # fmt: skip
    return conversation


@pytest.mark.parametrize(
    ("name", "lookup", "true", "false"),
    [
        ("conversation", "title__startswith", "t", "u"),
        ("conversation", "title__contains", "urnip", "parsnip"),
        ("conversation", "messages__text__contains", "turnips", "swedes"),
        ("conversation", "owner__password__startswith", "md5", "bcrypt"),
        ("session", "login_key__startswith", "canary", "z"),
        ("session", "auth_hash__startswith", "canary", "z"),
        ("session", "conversation__title__startswith", "t", "u"),
        ("session", "user__password__startswith", "md5", "z"),
        ("usage", "session__login_key__startswith", "canary", "z"),
        ("user", "password__startswith", "md5", "z"),
        ("user", "realtime_sessions__login_key__startswith", "canary", "z"),
        ("user", "conversations__title__startswith", "t", "u"),
        ("audit", "actor__password__startswith", "md5", "z"),
    ],
)
def test_what_is_hidden_cannot_be_filtered_by(
    talk: Conversation, operator: User, name: str, lookup: str, true: str, false: str
) -> None:
    browser = Client()
    browser.force_login(operator)
    answers = [browser.get(LISTS[name], {lookup: value}) for value in (true, false)]
    assert [answer.status_code for answer in answers] in ([302, 302], [400, 400])
