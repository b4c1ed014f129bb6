"""One conversation as JSON, Markdown and WebVTT."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from rest_framework.test import APIClient

from conversations.models import Conversation, Message
from conversations.services import rename_conversation
from tests.conversations.conftest import say


@pytest.fixture
def export(
    talk: Conversation, ada: User, api_of: Callable[[User], APIClient]
) -> Callable[[str], HttpResponse]:
    """`export("webvtt")`: the file of Ada's conversation."""
    return lambda form: api_of(ada).get(f"/api/conversations/{talk.pk}/export/{form}/")


@pytest.fixture
def spoken(talk: Conversation) -> Conversation:
    """A question, an answer that was cut off, one that nobody heard, and one that was not understood."""
    rename_conversation(conversation=talk, title="Über <bread>")
    said = [
        say(talk, modality="voice", text="What is bread?", position=1),
        say(
            talk,
            role="assistant",
            modality="voice",
            position=2,
            text="Dough & water.\n\nBaked --> hot.",
            status="interrupted",
            heard_chars=14,
            heard_ms=1_250,
            generated_ms=4_000,
        ),
        say(
            talk,
            role="assistant",
            modality="voice",
            text="Wait",
            status="interrupted",
            heard_chars=0,
            position=3,
        ),
        say(talk, modality="voice", text="", status="failed", position=4),
        say(talk, text="<b>And cake?</b>\n\nTell --> me", status="unanswered", position=5),
    ]
    for number, message in enumerate(said):
        # The answer's record comes before the question's: times in a file of captions still never go back.
        moment = talk.created_at + timedelta(seconds=[2, 1, 3, 4, 3_605][number])
        Message.objects.filter(pk=message.pk).update(created_at=moment)
    return talk


def test_webvtt_holds_what_was_heard_in_cues_that_never_go_back(
    spoken: Conversation, export: Callable[[str], HttpResponse]
) -> None:
    answer = export("webvtt")
    assert answer["Content-Type"] == "text/vtt; charset=utf-8"
    assert answer.content.decode().split("\n\n", 2)[2] == (
        "00:00:02.000 --> 00:00:03.000\n<v You>What is bread?\n\n"
        "00:00:02.000 --> 00:00:03.250\n<v Assistant>Dough &amp; water.\n\n"
        "01:00:05.000 --> 01:00:06.885\n<v You>&lt;b&gt;And cake?&lt;/b&gt;\nTell --&gt; me\n"
    )


def test_markdown_holds_all_that_was_said_and_how_it_ended(
    spoken: Conversation, export: Callable[[str], HttpResponse]
) -> None:
    answer = export("markdown")
    text = answer.content.decode()
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.startswith("# Über <bread>\n")
    assert text.count("\n## You, ") == 3
    assert text.count("\n## Assistant, ") == 2
    for part in (
        "Dough & water.\n\n*Not heard:* Baked --> hot.",
        "*Not heard:* Wait",
        "*Nothing was understood (failed).*",
        "Tell --> me\n\n*Not answered.*",
    ):
        assert part in text


def test_json_holds_the_messages_in_order(
    spoken: Conversation, export: Callable[[str], HttpResponse]
) -> None:
    exported = json.loads(export("json").content)
    assert exported["title"] == "Über <bread>"
    assert [row["position"] for row in exported["messages"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("form", "name"), [("json", "uber-bread.json"), ("markdown", "uber-bread.md")])
def test_the_file_is_named_after_the_title(
    spoken: Conversation, export: Callable[[str], HttpResponse], form: str, name: str
) -> None:
    answer = export(form)
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Cache-Control"] == "no-store"


def test_an_empty_conversation_is_a_file_too(export: Callable[[str], HttpResponse]) -> None:
    assert export("webvtt").content.startswith(b"WEBVTT\n\nNOTE ")
    assert export("markdown").content.startswith(b"# Conversation\n")
    assert export("webvtt")["Content-Disposition"] == 'attachment; filename="conversation.vtt"'


def test_an_unknown_form_is_not_found(export: Callable[[str], HttpResponse]) -> None:
    assert export("pdf").status_code == 404


def test_the_address_decides_the_form_not_the_accept_header(
    talk: Conversation, ada: User, api_of: Callable[[User], APIClient]
) -> None:
    answer = api_of(ada).get(f"/api/conversations/{talk.pk}/export/webvtt/", headers={"Accept": "text/vtt"})
    assert answer.status_code == 200
