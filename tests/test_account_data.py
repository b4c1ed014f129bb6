"""Export and deletion of everything kept about one person."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation, Message, Preferences
from conversations.services import create_conversation, delete_conversation, record_message, save_preferences
from realtime.models import (
    ProbeRun,
    RateCard,
    RealtimeSession,
    SessionEvent,
    SiteLock,
    Turn,
    UsageRecord,
    UsedToken,
)
from voiceproject.account import delete_person, export_person


def live_a_little(user: User) -> Conversation:
    """A conversation with two messages, preferences, and a session with all that hangs on it."""
    name = user.get_username()
    conversation = create_conversation(owner=user, title=f"{name}'s bread")
    session = RealtimeSession.objects.create(
        id=uuid4(),
        user=user,
        conversation=conversation,
        modality="voice",
        engine="local",
        model="gpt-realtime",
    )
    for position, role in enumerate(("user", "assistant")):
        record_message(
            conversation_id=conversation.pk,
            session_id=session.pk,
            item_id=role,
            position=position,
            role=role,
            modality="voice",
            status="completed",
            text=f"{name} {role}",
        )
    Turn.objects.create(session=session, response_id="r", status="completed")
    SessionEvent.objects.create(session=session, at_ms=1, name="e")
    UsageRecord.objects.create(session=session, meter="response", reference="r", audio_in=7)
    UsedToken.objects.create(jti=f"token-{name}", session_id=session.pk)
    save_preferences(owner=user, theme="dark")
    return conversation


class TestExport:
    def test_it_holds_everything_of_ones_own_and_nothing_of_anothers(
        self, ada: User, bob: User, page_of: Callable[[User], Client]
    ) -> None:
        live_a_little(ada)
        live_a_little(bob)
        answer = page_of(ada).get("/api/export/")
        assert answer["Content-Disposition"].startswith('attachment; filename="')
        exported = json.loads(answer.content)
        assert exported["account"]["email"] == "ada@example.com"
        assert exported["preferences"]["theme"] == "dark"
        [conversation] = exported["conversations"]
        assert conversation["title"] == "ada's bread"
        assert [row["text"] for row in conversation["messages"]] == ["ada user", "ada assistant"]
        [session] = exported["sessions"]
        assert session["conversation_id"] == conversation["id"]
        assert session["usage"] == [
            {"meter": "response", "reference": "r", "audio_in": 7} | session["usage"][0]
        ]
        assert "bob" not in answer.content.decode()

    def test_it_holds_no_credentials(self, ada: User) -> None:
        live_a_little(ada)
        exported = json.dumps(export_person(ada), default=str)
        assert ada.password not in exported
        assert "auth_hash" not in exported

    def test_what_was_deleted_is_in_it_until_it_is_purged(self, ada: User) -> None:
        delete_conversation(conversation=live_a_little(ada))
        [conversation] = export_person(ada)["conversations"]
        assert conversation["deleted"] is True

    def test_it_costs_as_many_queries_for_many_as_for_one(
        self, ada: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(10):
            conversation = live_a_little(ada)
            UsedToken.objects.all().delete()
        ada = User.objects.get(pk=ada.pk)
        # Preferences, conversations, messages, sessions, usage, recordings.
        with django_assert_max_num_queries(6):
            exported = export_person(ada)
        assert str(conversation.pk) in {row["id"] for row in exported["conversations"]}


class TestDeletion:
    def test_nothing_of_the_person_is_left_and_all_of_the_others_is(self, ada: User, bob: User) -> None:
        live_a_little(ada)
        live_a_little(bob)
        ours = [
            model
            for model in apps.get_models()
            if model._meta.app_label in ("conversations", "realtime")
            and model not in (RateCard, ProbeRun, SiteLock)
        ]
        before = {model: model._default_manager.count() for model in ours}
        delete_person(ada)
        for model in ours:
            assert model._default_manager.count() == before[model] / 2, model
        assert list(User.objects.all()) == [bob]
        assert Message.objects.filter(conversation__owner=bob).count() == 2
        assert Preferences.objects.get().owner == bob
        assert UsedToken.objects.get().jti == "token-bob"

    def test_it_proves_what_it_deleted(self, ada: User) -> None:
        live_a_little(ada)
        assert delete_person(ada) == {
            "auth.User": 1,
            "conversations.Conversation": 1,
            "conversations.Message": 2,
            "conversations.Preferences": 1,
            "realtime.RealtimeSession": 1,
            "realtime.SessionEvent": 1,
            "realtime.Turn": 1,
            "realtime.UsageRecord": 1,
            "realtime.UsedToken": 1,
        }

    def test_a_second_time_there_is_nothing_to_delete(self, ada: User) -> None:
        delete_person(ada)
        assert delete_person(ada) == {}

    @pytest.mark.parametrize("path", ["/chat/", "/account/"])
    def test_a_login_of_the_deleted_account_opens_nothing(
        self, ada: User, page_of: Callable[[User], Client], path: str
    ) -> None:
        page = page_of(ada)
        delete_person(ada)
        assert page.get(path).status_code == 302
        assert page.get("/api/conversations/").status_code == 401
