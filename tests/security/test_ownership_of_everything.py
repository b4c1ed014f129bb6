"""Another person's object does not exist: every address that names one, taken from the URL configuration."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from conversations import services as conversations
from conversations.models import Message
from realtime import access, admission, recordings
from realtime.effects import KeepAudio, KeepSpan
from realtime.models import RealtimeSession, Recording
from realtime.recording_file import chunks_of

METHODS = ("get", "post", "put", "patch", "delete")
# Arguments that name no object: a format of export, a voice, and the admin's own, which staff only may open.
NO_OBJECT = {
    "form": "json",
    "uidb64": "MQ",
    "token": "set-password",
    "app_label": "auth",
    "url": "x",
    "lane": "said",
    "voice": "marin",
}
STAFF_ONLY = "admin/"


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """(route, pattern) of each address."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        else:
            yield route, entry


WITH_ARGUMENTS = [
    (route, pattern)
    for route, pattern in patterns(get_resolver())
    if pattern.pattern.converters and not route.startswith(STAFF_ONLY)
]


@pytest.fixture
def hers(ada: User, recordings_folder: Path) -> dict[str, UUID]:
    """An object of Ada's for each name of an argument that the URL configuration knows."""
    conversation = conversations.create_conversation(owner=ada, title="hers alone")
    minted = admission.mint(user=ada, origin="", conversation_id=conversation.pk)
    admission.redeem(token_text=minted.token, origin="", worker="w")
    message = conversations.record_message(
        conversation_id=conversation.pk, session_id=minted.session_id, item_id="i", position=1, role="user",
        modality="voice", status="completed", text="hers alone", audio_ms=1,
    )  # fmt: skip
    assert message is not None
    recordings.begin(RealtimeSession.objects.get())
    file = recordings_folder / Recording.objects.get().file
    file.parent.mkdir(parents=True)
    file.write_bytes(chunks_of([KeepAudio("said", "", 0, 0, b"hers alone"), KeepSpan("i", 0, 5)]))
    return {"conversation_id": conversation.pk, "message_id": message.pk, "session_id": minted.session_id}


def address(route: str, pattern: URLPattern, objects: dict[str, UUID]) -> str:
    """The address with an object in the place of each argument. A new argument has to be added to the test."""
    for name, converter in pattern.pattern.converters.items():
        value = objects[name] if name in objects else NO_OBJECT[name]
        for spelled in ("uuid", "slug", "str", "path"):
            route = route.replace(f"<{spelled}:{name}>", converter.to_url(value))
        route = route.replace(f"<{name}>", converter.to_url(value))
    return "/" + route


def test_every_address_with_an_argument_is_known_to_this_test() -> None:
    names = {name for _, pattern in WITH_ARGUMENTS for name in pattern.pattern.converters}
    assert names <= {"conversation_id", "message_id", "session_id", *NO_OBJECT}
    assert len(WITH_ARGUMENTS) >= 8


@pytest.mark.parametrize(("route", "pattern"), WITH_ARGUMENTS, ids=[route for route, _ in WITH_ARGUMENTS])
def test_another_person_s_object_is_404_at(
    hers: dict[str, UUID], bob: User, ada: User, route: str, pattern: URLPattern
) -> None:
    if not set(pattern.pattern.converters) & set(hers):
        return  # the links of password e-mails: their token is the right
    his = Client()
    his.force_login(bob)
    url = address(route, pattern, hers)
    for method in METHODS:
        answer = (
            getattr(his, method)(url, content_type="application/json") if method != "get" else his.get(url)
        )
        assert answer.status_code in (404, 405), f"{method} {url}"
        assert "hers alone" not in answer.content.decode()
        assert not answer.streaming
    own = answer_of_owner(ada, url)
    assert own.status_code in (200, 405)
    assert "no-store" in own["Cache-Control"]
    assert Message.objects.get().text == "hers alone"
    assert access.live_sessions(ada).count() == 1


def answer_of_owner(owner: User, url: str) -> Any:
    """That the address is right: for its owner the object is there."""
    mine = Client()
    mine.force_login(owner)
    return mine.get(url)


WITHOUT_ARGUMENTS = sorted(
    route
    for route, pattern in patterns(get_resolver())
    if "^" not in route and not pattern.pattern.converters and not route.startswith(STAFF_ONLY)
)


@pytest.mark.parametrize("route", WITHOUT_ARGUMENTS)
def test_no_cache_keeps_an_answer_to_somebody_who_is_logged_in(ada: User, route: str) -> None:
    answer = answer_of_owner(ada, f"/{route}")
    assert answer.status_code != 200 or "no-store" in answer.get("Cache-Control", "")


@pytest.mark.parametrize("modality", ["voice", "text"])
def test_another_person_s_conversation_or_session_cannot_be_talked_in(
    hers: dict[str, UUID], bob: User, modality: str
) -> None:
    his = Client()
    his.force_login(bob)

    def mint(**fields: Any) -> Any:
        return his.post(
            "/api/voice/realtime-session", {"modality": modality, **fields}, "application/json",
            headers={"Origin": "http://testserver"},
        )  # fmt: skip

    assert mint(conversation_id=str(hers["conversation_id"])).status_code == 404
    answer = mint(resume_session_id=str(hers["session_id"])).json()
    assert answer["resumed"] is False
    assert answer["conversation_id"] != str(hers["conversation_id"])


@pytest.mark.parametrize(
    "route", [route for route, _ in patterns(get_resolver()) if route.startswith(STAFF_ONLY)]
)
def test_the_admin_lets_no_ordinary_person_in(bob: User, route: str) -> None:
    his = Client()
    his.force_login(bob)
    url = "/" + route.split("<")[0].removesuffix("(?P")
    answer = his.get(url)
    if url == "/admin/login/":
        # Its random tokens may spell anything.
        page = re.sub(r'(value|nonce)="[\w+/=-]{20,}"', "", answer.content.decode())
        assert "ada" not in page
    else:
        assert answer.status_code in (301, 302, 404, 405), url
