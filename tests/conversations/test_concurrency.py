"""Writers at the same time: real threads on the real database, since locking is what is tested."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from conversations.models import Conversation, Message
from conversations.services import begin_stretch
from tests.conversations.conftest import say

WRITERS = 6


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """The results of `work(0)` to `work(5)`, begun together, each in a thread with a connection of its own."""
    barrier = Barrier(WRITERS, timeout=20)

    def run(number: int) -> Any:
        barrier.wait()
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(run, range(WRITERS)))


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_the_same_record_is_stored_once(self, talk: Conversation) -> None:
        messages = at_once(lambda number: say(talk, item_id="a", text="Hello"))
        assert {message.pk for message in messages} == {Message.objects.get().pk}

    def test_every_record_is_stored(self, talk: Conversation) -> None:
        at_once(lambda number: [say(talk, item_id=f"{number}-{turn}", position=turn) for turn in range(5)])
        assert talk.messages.count() == WRITERS * 5

    def test_no_two_sessions_get_the_same_stretch(self, talk: Conversation) -> None:
        starts = at_once(lambda number: begin_stretch(conversation=Conversation.objects.get(pk=talk.pk)))
        assert len(set(starts)) == WRITERS

    def test_the_same_preferences_are_saved_by_all(self, ada: User, api_of: Callable[[User], Any]) -> None:
        statuses = at_once(
            lambda number: (
                api_of(User.objects.get(pk=ada.pk))
                .patch("/api/preferences/", {"theme": "dark"}, format="json")
                .status_code
            )
        )
        assert statuses == [200] * WRITERS

    def test_one_name_and_one_address_are_one_account(self, transactional_db: None) -> None:
        form = {"username": "grace", "password1": "nano-second-1906", "password2": "nano-second-1906"}
        statuses = at_once(
            lambda number: (
                Client()
                .post("/accounts/signup/", form | {"email": f"{'grace' if number else 'Grace'}@example.com"})
                .status_code
            )
        )
        assert sorted(statuses) == [200] * (WRITERS - 1) + [302]
        assert User.objects.count() == 1
