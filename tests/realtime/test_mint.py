"""`POST /api/voice/realtime-session`: who gets a token, what it says, and what is refused in which words."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from conversations.models import Conversation
from conversations.services import create_conversation
from realtime import admission, leases, services
from realtime.exceptions import Refused
from realtime.models import RealtimeSession

ADDRESS = "/api/voice/realtime-session"
CANARY_KEY = "sk-canary-7f3a"


@pytest.fixture(autouse=True)
def fresh_pace() -> None:
    """The pace of mints is counted in the cache, which outlives a test."""
    cache.clear()


@pytest.fixture
def her(ada: Any) -> APIClient:
    """Ada's program, with a real token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(ada)}")
    return client


def test_a_mint_answers_everything_a_page_needs_and_never_the_key(her: APIClient, settings: Any) -> None:
    settings.OPENAI_API_KEY = CANARY_KEY
    answer = her.post(ADDRESS, {}, format="json")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "session_id", "url", "protocol", "token", "expires_at", "model", "conversation_id", "voice_config", "resumed",
    }  # fmt: skip
    assert body["url"] == f"ws://testserver/ws/realtime/{body['session_id']}/"
    assert body["protocol"] == "voice.v1"
    detection = body["voice_config"]["turn_detection"]
    assert (detection["threshold"], detection["prefix_padding_ms"], detection["silence_duration_ms"]) == (
        0.5,
        300,
        500,
    )
    assert CANARY_KEY not in answer.content.decode()
    assert "instructions" not in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"


def test_without_credentials_it_is_401(db: None) -> None:
    assert APIClient().post(ADDRESS, {}, format="json").status_code == 401


def test_a_refresh_token_is_not_an_access_token(ada: Any) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {RefreshToken.for_user(ada)}")
    assert client.post(ADDRESS, {}, format="json").status_code == 401


def test_a_cookie_needs_the_csrf_token_and_the_sites_own_origin(ada: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)
    assert browser.post(ADDRESS, "{}", content_type="application/json").status_code == 403
    page = Client()
    page.force_login(ada)
    for origin, status in (
        ("http://testserver", 200),
        ("http://evil.example", 403),
        ("", 403),
        ("null", 403),
    ):
        headers = {"origin": origin} if origin else {}
        assert (
            page.post(ADDRESS, "{}", content_type="application/json", headers=headers).status_code == status
        ), origin


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""]
)
def test_what_another_site_s_form_can_send_is_no_mint(ada: Any, kind: str) -> None:
    page = Client()
    page.force_login(ada)
    answer = page.generic(
        "POST", ADDRESS, '{"modality": "voice"}', kind, headers={"Origin": "http://testserver"}
    )
    assert answer.status_code == 415
    assert answer["Content-Type"] == "application/json"


def test_get_is_not_a_mint(her: APIClient) -> None:
    for method in ("get", "put", "patch", "delete"):
        assert getattr(her, method)(ADDRESS).status_code == 405


def test_a_mint_is_kept_by_no_cache_and_given_to_nobody_else(her: APIClient, ada: Any) -> None:
    page = Client()
    page.force_login(ada)
    by_cookie = page.post(
        ADDRESS, "{}", content_type="application/json", headers={"Origin": "http://testserver"}
    )
    assert by_cookie.status_code == 200
    for answer in (by_cookie, her.post(ADDRESS, {}, format="json")):
        assert answer["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer
    assert "Cookie" in by_cookie["Vary"]


def test_another_persons_conversation_is_404(her: APIClient, bob: Any) -> None:
    theirs = create_conversation(owner=bob)
    for conversation_id in (theirs.pk, uuid4()):
        answer = her.post(ADDRESS, {"conversation_id": str(conversation_id)}, format="json")
        assert answer.status_code == 404
        assert answer.json()["code"] == "conversation.not_found"


@pytest.mark.parametrize(
    ("field", "value"),
    [("conversation_id", "seven"), ("modality", "smell"), ("resume_session_id", "x")],
)
def test_wrong_fields_are_named(her: APIClient, field: str, value: str) -> None:
    answer = her.post(ADDRESS, {field: value}, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_a_site_without_voice_says_so(her: APIClient, settings: Any) -> None:
    settings.REALTIME_ENABLED = False
    assert her.post(ADDRESS, {}, format="json").json()["code"] == "voice.disabled"
    settings.REALTIME_ENABLED = True
    settings.REALTIME_BASE_URL = "wss://api.openai.com/v1/realtime"
    answer = her.post(ADDRESS, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "voice.not_configured")


def live(user: Any, **fields: Any) -> RealtimeSession:
    values = {"conversation": create_conversation(owner=user), "modality": "voice", **fields}
    return RealtimeSession.objects.create(
        id=uuid4(),
        user=user,
        model="m",
        engine="local",
        lease_until=leases.lease_end(),
        **values,
    )


def test_too_many_calls_at_once_are_refused_with_a_time_to_wait(
    her: APIClient, ada: Any, settings: Any
) -> None:
    for _ in range(settings.REALTIME_MAX_SESSIONS_PER_USER):
        live(ada)
    answer = her.post(ADDRESS, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (429, "limit.sessions")
    assert int(answer["Retry-After"]) > 0
    assert her.post(ADDRESS, {"modality": "text"}, format="json").status_code == 200


def test_a_call_in_the_same_conversation_does_not_count(her: APIClient, ada: Any, settings: Any) -> None:
    sessions = [live(ada) for _ in range(settings.REALTIME_MAX_SESSIONS_PER_USER)]
    fields = {"conversation_id": str(sessions[0].conversation_id)}
    assert (
        her.post(ADDRESS, fields, format="json").status_code == 200
    )  # the new call takes the old one's place
    live(ada)
    assert her.post(ADDRESS, fields, format="json").status_code == 429


def test_a_full_site_answers_503(her: APIClient, bob: Any, settings: Any) -> None:
    settings.REALTIME_MAX_SESSIONS = 1
    live(bob)
    answer = her.post(ADDRESS, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy.global")


def test_typed_sessions_take_no_voice_line_and_have_limits_of_their_own(
    her: APIClient, ada: Any, bob: Any, settings: Any
) -> None:
    settings.REALTIME_MAX_SESSIONS = settings.REALTIME_MAX_SESSIONS_PER_USER = 1
    settings.REALTIME_MAX_TEXT_SESSIONS_PER_USER = 2
    typed = [live(ada, modality="text") for _ in range(2)]
    assert her.post(ADDRESS, {}, format="json").status_code == 200
    minted = her.post(
        ADDRESS, {"modality": "text", "conversation_id": str(typed[0].conversation_id)}, format="json"
    ).json()  # the one that it takes the place of does not count
    refused = her.post(ADDRESS, {"modality": "text"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (429, "limit.chats")
    assert int(refused["Retry-After"]) > 0
    live(ada, modality="text")
    with pytest.raises(Refused, match=r"limit\.chats"):  # counted again when the token is spent
        admission.redeem(token_text=minted["token"], origin="", worker="w")

    settings.REALTIME_MAX_TEXT_SESSIONS_PER_USER = 10
    settings.REALTIME_MAX_TEXT_SESSIONS = 4
    live(bob, modality="text")
    refused = her.post(ADDRESS, {"modality": "text"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (503, "busy.chats")
    assert refused["Retry-After"] == "60"


def test_mints_have_a_pace(her: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime.api.views import MintThrottle

    monkeypatch.setattr(MintThrottle, "THROTTLE_RATES", {"mint": "2/min"})
    codes = [her.post(ADDRESS, {}, format="json").status_code for _ in range(3)]
    assert codes == [200, 200, 429]


def test_each_preset_reaches_the_upstreams_block(her: APIClient, ada: Any) -> None:
    from conversations.models import Preferences

    Preferences.objects.create(owner=ada, turn_preset="push_to_talk", voice="cedar")
    config = her.post(ADDRESS, {}, format="json").json()["voice_config"]
    assert config["turn_detection"] is None
    assert config["voice"] == "cedar"


def test_the_answer_is_json_whatever_happens(her: APIClient) -> None:
    answer = her.post(ADDRESS, "{", content_type="application/json")
    assert answer.status_code == 400
    json.loads(answer.content)


def test_an_attempt_without_a_word_leaves_no_second_empty_conversation(her: APIClient, ada: Any) -> None:
    def minted() -> str:
        return str(her.post(ADDRESS, {}, format="json").json()["conversation_id"])

    first = minted()
    services.close_session(
        session_id=live(ada, conversation=Conversation.objects.get(pk=first)).pk, reason="idle", counters={}
    )
    assert minted() != first  # a token for it may still be spent
    long_ago = timezone.now() - timedelta(hours=1)
    Conversation.objects.filter(pk=first).update(updated_at=long_ago)
    assert minted() == first
    assert minted() != first  # it is taken now


def test_a_database_that_refuses_is_a_busy_site_and_not_a_crash(her: APIClient) -> None:
    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if "realtime_realtimesession" in sql:
            raise OperationalError("database is locked")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        answer = her.post(ADDRESS, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy.database")
    assert answer["Retry-After"] == "2"


def test_a_site_without_space_begins_no_session_and_lets_those_go_on_that_are(
    her: APIClient, settings: Any
) -> None:
    minted = her.post(ADDRESS, {}, format="json").json()
    admission.redeem(token_text=minted["token"], origin="", worker="w")
    settings.REALTIME_MIN_FREE_MB = 10**9
    refused = her.post(ADDRESS, {}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (503, "busy.disk")
    assert refused["Retry-After"] == "300"
    resumed = her.post(ADDRESS, {"resume_session_id": minted["session_id"]}, format="json")
    assert resumed.json()["resumed"] is True
