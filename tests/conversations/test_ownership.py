"""Two people never see each other's anything: every address that names an object, and every list."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from conversations.models import Conversation
from conversations.services import delete_conversation
from tests.conversations.conftest import say

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def patterns_with_ids(resolver: URLResolver, prefix: str = "") -> list[str]:
    """All routes of the site that take a conversation's id, the admin's aside, as format strings."""
    found = []
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name != "admin":
                found += patterns_with_ids(pattern, route)
        elif isinstance(pattern, URLPattern) and "<uuid:conversation_id>" in route:
            found.append("/" + route.replace("<uuid:", "{").replace("<slug:", "{").replace(">", "}"))
    return found


def fill(route: str, conversation: Conversation) -> str:
    """The route with the ids of that conversation."""
    message = conversation.messages.get()
    return route.format(conversation_id=conversation.pk, message_id=message.pk, form="json")


def test_the_walk_over_the_addresses_finds_them() -> None:
    found = patterns_with_ids(get_resolver())
    assert "/api/conversations/{conversation_id}/messages/{message_id}/" in found
    assert "/chat/{conversation_id}/" in found


@pytest.mark.parametrize("route", patterns_with_ids(get_resolver()))
@pytest.mark.parametrize("method", METHODS)
def test_anothers_object_is_not_found(
    ada: User, bobs_talk: Conversation, api_of: Callable[[User], APIClient], route: str, method: str
) -> None:
    before = Conversation.objects.values().get()
    program = api_of(ada)
    program.force_login(ada)
    answer = getattr(program, method)(fill(route, bobs_talk), {"title": "Mine now"}, format="json")
    # 405: a method that the address does not have at all, for anybody. OPTIONS describes the address, not the object.
    assert answer.status_code in ({200, 404, 405} if method == "options" else {404, 405})
    body = answer.content.decode()
    assert "the turnips" not in body
    assert "secret garden" not in body
    assert Conversation.objects.values().get() == before


@pytest.mark.parametrize("route", patterns_with_ids(get_resolver()))
def test_the_owner_does_find_it(
    bob: User, bobs_talk: Conversation, api_of: Callable[[User], APIClient], route: str
) -> None:
    if route.endswith("/messages/{message_id}/audio/"):
        # There is nothing to find without a recording; the other test has one.
        pytest.skip("needs kept audio: see test_ownership_of_everything")
    program = api_of(bob)
    program.force_login(bob)
    url = fill(route, bobs_talk)
    answers = [getattr(program, method)(url) for method in ("get", "post", "delete")]
    its_page = f"/chat/{bobs_talk.pk}/"
    assert any(answer.status_code in {200, 204} or answer.get("Location") == its_page for answer in answers)


def test_a_deleted_conversation_of_another_cannot_be_restored(
    ada: User, bobs_talk: Conversation, api_of: Callable[[User], APIClient]
) -> None:
    delete_conversation(conversation=bobs_talk)
    assert api_of(ada).post(f"/api/conversations/{bobs_talk.pk}/restore/").status_code == 404
    bobs_talk.refresh_from_db()
    assert bobs_talk.deleted_at is not None


@pytest.mark.parametrize(
    "path",
    [
        *("/chat/", "/history/", "/history/?q=turnips", "/voice-test/", "/account/"),
        *("/api/conversations/", "/api/conversations/?q=turnips", "/api/export/", "/api/preferences/"),
    ],
)
def test_no_list_or_page_shows_what_is_anothers(
    ada: User, bobs_talk: Conversation, page_of: Callable[[User], Client], path: str
) -> None:
    answer = page_of(ada).get(path)
    body = answer.content.decode()
    assert answer.status_code == 200
    assert "secret garden" not in body  # with blanks: the random tokens of a page may spell any short word
    assert "bury the" not in body
    assert str(bobs_talk.pk) not in body


def test_each_has_their_own_preferences(ada: User, bob: User, api_of: Callable[[User], APIClient]) -> None:
    api_of(ada).patch("/api/preferences/", {"theme": "dark"}, format="json")
    assert api_of(bob).get("/api/preferences/").json()["theme"] == "system"


def test_search_does_not_reach_into_anothers_messages(
    ada: User, bobs_talk: Conversation, api_of: Callable[[User], APIClient]
) -> None:
    own = Conversation.objects.create(owner=ada)
    say(own, item_id="ada-1", text="My own turnips")
    rows: list[Any] = api_of(ada).get("/api/conversations/?q=turnips").json()["results"]
    assert [row["id"] for row in rows] == [str(own.pk)]
