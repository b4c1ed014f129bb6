"""The chat, voice test and history pages: what they show, to whom, and at what cost in queries."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from conversations.models import Conversation
from conversations.services import archive_conversation, delete_conversation, save_preferences
from tests.conversations.conftest import say

PRIVATE = ["/chat/", "/history/", "/voice-test/", "/voice-test", "/account/", "/usage/"]


@pytest.fixture
def adas(ada: User, page_of: Callable[[User], Client]) -> Client:
    """Ada's browser."""
    return page_of(ada)


def bootstrap(answer: HttpResponse) -> dict[str, Any]:
    """What the page's modules read."""
    found = re.search(
        r'<script id="bootstrap" type="application/json">(.*?)</script>', answer.content.decode(), re.DOTALL
    )
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("path", PRIVATE)
def test_private_pages_need_a_login_and_are_never_cached(
    ada: User, page_of: Callable[[User], Client], path: str
) -> None:
    stranger = Client().get(path)
    assert (stranger.status_code, stranger["Location"]) == (302, f"/accounts/login/?next={path}")
    answer = page_of(ada).get(path)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert "csrftoken" in answer.cookies


def test_the_root_leads_to_the_chat_or_the_login(adas: Client) -> None:
    assert adas.get("/")["Location"] == "/chat/"
    assert Client().get("/")["Location"] == "/accounts/login/"


def test_a_new_chat_begins_empty(adas: Client, settings: Settings) -> None:
    settings.REALTIME_BASE_URL = "ws://127.0.0.1:8765/v1/realtime"
    answer = adas.get("/chat/")
    assert answer.context["conversation"] is None
    assert list(answer.context["chat_messages"]) == []
    assert bootstrap(answer) == {
        "conversation_id": None,
        "urls": {
            "conversations": "/api/conversations/",
            "mint": "/api/voice/realtime-session",
            "preferences": "/api/preferences/",
            "chat": "/chat/",
            "login": "/accounts/login/",
            "usage": "/usage/",
        },
        "preferences": {
            "voice": "",
            "turn_preset": "normal",
            "turn_custom": {},
            "speed": 1.0,
            "interruptible": True,
            "noise_reduction": "near_field",
            "speech_language": "",
            "answers": "spoken",
            "end_after_sec": 0,
            "captions": True,
            "caption_style": "all",
            "language": "",
            "theme": "system",
            "keep": "transcript",
        },
        "voice": {"enabled": True, "offline": True, "model": settings.REALTIME_MODEL},
        "user": {"name": "ada", "is_staff": False},
        "has_more": False,
    }


@pytest.mark.parametrize(
    ("url", "offline"),
    [
        ("wss://api.openai.com/v1/realtime", False),
        ("ws://localhost:8765/v1/realtime", True),
        ("ws://[::1]:8765/v1/realtime", True),
        ("wss://127.0.0.1.example.com/", False),
        ("", False),
    ],
)
def test_voice_is_offline_when_the_upstream_is_this_machine(
    adas: Client, settings: Settings, url: str, offline: bool
) -> None:
    settings.REALTIME_BASE_URL = url
    assert bootstrap(adas.get("/voice-test/"))["voice"]["offline"] is offline


def test_a_conversation_is_shown_with_its_last_messages_in_order(
    adas: Client, many_messages: Conversation
) -> None:
    answer = adas.get(f"/chat/{many_messages.pk}/")
    assert [row["position"] for row in answer.context["chat_messages"]] == list(range(951, 1_001))
    assert bootstrap(answer)["conversation_id"] == str(many_messages.pk)
    assert bootstrap(answer)["has_more"] is True
    assert "<p>Message <strong>1000</strong></p>" in answer.content.decode()


def test_a_doubt_is_in_the_page(adas: Client, talk: Conversation) -> None:
    for number, unsure in enumerate((True, False)):
        say(talk, modality="voice", text="Converts both males", position=number, unsure=unsure)
    page = adas.get(f"/chat/{talk.pk}/").content.decode()
    # The third is the template of a row that is yet to be said.
    assert re.findall(r'data-unsure="(\w*)"', page) == ["yes", "", ""]


def test_what_was_said_is_never_markup_in_the_page(adas: Client, talk: Conversation) -> None:
    attack = "</script><script>alert('said')</script>"
    for number, role in enumerate(("user", "assistant")):
        say(talk, role=role, text=attack, position=number)
    talk.title = attack
    talk.save()
    for path in (f"/chat/{talk.pk}/", "/chat/", "/history/"):
        assert "<script>alert" not in adas.get(path).content.decode()


@pytest.mark.parametrize("gone", ["deleted", "unknown", "anothers"])
def test_a_conversation_that_is_not_ones_own_is_not_found(
    adas: Client, talk: Conversation, bobs_talk: Conversation, gone: str
) -> None:
    delete_conversation(conversation=talk)
    pk = {"deleted": talk.pk, "unknown": uuid4(), "anothers": bobs_talk.pk}[gone]
    assert adas.get(f"/chat/{pk}/").status_code == 404


def test_the_sidebar_leaves_out_what_was_put_away(adas: Client, talk: Conversation, ada: User) -> None:
    shown = Conversation.objects.create(owner=ada)
    archive_conversation(conversation=talk)
    assert list(adas.get("/chat/").context["conversations"]) == [shown]


def test_an_archived_conversation_is_brought_back_from_the_history(
    adas: Client, bob: User, page_of: Callable[[User], Client], talk: Conversation
) -> None:
    archive_conversation(conversation=talk)
    assert "Bring back" in adas.get("/history/").content.decode()
    assert page_of(bob).post(f"/chat/{talk.pk}/unarchive/").status_code == 404
    answer = adas.post(f"/chat/{talk.pk}/unarchive/")
    assert answer["Location"] == f"/chat/{talk.pk}/"
    talk.refresh_from_db()
    assert talk.archived_at is None
    assert "Bring back" not in adas.get("/history/").content.decode()


def test_the_history_has_all_with_their_counts(adas: Client, talk: Conversation, ada: User) -> None:
    say(talk, text="Bread")
    say(talk, text="More")
    archive_conversation(conversation=talk)
    Conversation.objects.create(owner=ada)
    rows = adas.get("/history/").context["conversations"]
    assert {row.pk: row.message_count for row in rows}[talk.pk] == 2
    assert len(rows) == 2
    found = adas.get("/history/", {"q": "bread"})
    assert found.context["conversations"] == [talk]
    assert found.context["query"] == "bread"


@pytest.mark.parametrize("query", ["page=2", "page=99", "page=x", "q=%00", "q=" + "x" * 5_000, "q=%"])
def test_the_history_bears_any_query(adas: Client, begin_many: Callable[[int], Any], query: str) -> None:
    begin_many(60)
    assert adas.get(f"/history/?{query}").status_code == 200


class TestCost:
    """The number of queries is the same for much as for little."""

    def test_of_the_chat_page_with_a_thousand_messages(
        self, adas: Client, many_messages: Conversation, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(
            6
        ):  # login session, user, preferences, conversation, messages, sidebar
            adas.get(f"/chat/{many_messages.pk}/")

    def test_of_the_chat_page_of_one_with_preferences(
        self,
        adas: Client,
        ada: User,
        talk: Conversation,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        save_preferences(owner=ada, theme="dark")
        with django_assert_max_num_queries(6):
            assert 'data-theme="dark"' in adas.get(f"/chat/{talk.pk}/").content.decode()

    def test_of_the_history_of_a_thousand_conversations(
        self,
        adas: Client,
        begin_many: Callable[[int], Any],
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        begin_many(1_000)
        with django_assert_max_num_queries(
            6
        ):  # login session, user, preferences, how many, the page's, their counts
            adas.get("/history/")

    def test_of_the_lists_of_the_api(
        self,
        adas: Client,
        many_messages: Conversation,
        begin_many: Callable[[int], Any],
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        begin_many(1_000)
        with django_assert_max_num_queries(3):  # login session, user, the page
            assert len(adas.get("/api/conversations/").json()["results"]) == 50
        with django_assert_max_num_queries(4):
            assert len(adas.get(f"/api/conversations/{many_messages.pk}/messages/").json()["results"]) == 50
