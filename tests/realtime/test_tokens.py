"""Session tokens: what is accepted, once, and what is not; the socket is refused before it opens."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from realtime import admission, tokens
from realtime.consumers import header
from realtime.exceptions import Refused
from realtime.models import RealtimeSession
from tests.realtime.page import Page

NOW_S = 1_800_000_000
TOKEN = tokens.SessionToken(
    jti="j", session_id="0" * 32, user_id=1, conversation_id="0" * 32, modality="voice", origin="",
    auth_hash="h", resume=False, iat=NOW_S, exp=NOW_S + 300,
)  # fmt: skip


def test_a_token_fits_a_subprotocol_and_comes_back_as_it_was() -> None:
    text = tokens.encode(TOKEN)
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert tokens.decode(text, NOW_S) == TOKEN


@pytest.mark.parametrize(
    ("change", "now_s", "why"),
    [
        ({}, NOW_S + 300, "expired"),
        ({"iat": NOW_S + 3_600, "exp": NOW_S + 3_900}, NOW_S, "future"),
        ({"aud": "other"}, NOW_S, "audience"),
    ],
)
def test_a_token_out_of_its_time_or_place_is_refused(change: dict[str, Any], now_s: int, why: str) -> None:
    text = tokens.encode(dataclasses.replace(TOKEN, **change))
    with pytest.raises(tokens.InvalidToken, match=why):
        tokens.decode(text, now_s)


@pytest.mark.parametrize("text", ["", "x", "a.b", "." * 50, "é", "A" * 3_000])
def test_a_text_that_we_did_not_sign_is_refused(text: str) -> None:
    with pytest.raises(tokens.InvalidToken):
        tokens.decode(text, NOW_S)


def test_an_altered_token_is_refused() -> None:
    text = tokens.encode(TOKEN)
    with pytest.raises(tokens.InvalidToken):
        tokens.decode(text[:5] + ("A" if text[5] != "A" else "B") + text[6:], NOW_S)


def redeem(text: str, origin: str = "") -> admission.Opening:
    return admission.redeem(token_text=text, origin=origin, worker="test")


def test_a_token_is_for_one_origin(ada: Any) -> None:
    minted = admission.mint(user=ada, origin="https://voice.example")
    for origin in (
        "",
        "https://voice.example.evil",
        "https://voice.example:8443",
        "http://voice.example",
        "null",
    ):
        with pytest.raises(Refused):
            redeem(minted.token, origin)
    assert redeem(minted.token, "https://voice.example").session_id == minted.session_id


def test_a_token_ends_with_the_password_and_with_the_account(ada: Any) -> None:
    first, second = admission.mint(user=ada, origin=""), admission.mint(user=ada, origin="")
    ada.set_password("another-secret-1")
    ada.save()
    with pytest.raises(Refused, match=r"token\.revoked"):
        redeem(first.token)
    third = admission.mint(user=ada, origin="")
    ada.is_active = False
    ada.save()
    for minted in (second, third):
        with pytest.raises(Refused):
            redeem(minted.token)


def test_a_header_that_comes_more_than_once_matches_nothing() -> None:
    once, own = {"headers": [(b"origin", b"https://a.example")]}, "https://a.example"
    assert header(once, b"origin") == own
    for second in (b"https://a.example", b"https://evil.example", b""):
        twice = {"headers": [*once["headers"], (b"origin", second)]}
        assert header(twice, b"origin") not in ("", own, second.decode())


def test_a_name_of_a_browser_that_no_database_keeps_is_no_error(ada: Any) -> None:
    # Two headers come as a text that begins with a NUL: see `consumers.header`.
    token = admission.mint(user=ada, origin="").token
    opening = admission.redeem(token_text=token, origin="", worker="w", user_agent="\x00 more than one")
    assert RealtimeSession.objects.get(pk=opening.session_id).user_agent == "\ufffd more than one"


async def test_of_fifty_connections_with_one_token_one_is_accepted(make_site: Any, ada: Any) -> None:
    site = await make_site()
    minted = await site.mint(ada)
    pages = [Page(minted) for _ in range(50)]
    results = await asyncio.gather(*(page.connect() for page in pages), return_exceptions=True)
    accepted = [page for page, result in zip(pages, results, strict=True) if result is None]
    refused = [result for result in results if isinstance(result, InvalidStatus)]
    assert len(accepted) == 1
    assert {error.response.status_code for error in refused} == {403}
    assert len(refused) == 49
    await accepted[0].until("state", state="listening")
    assert len(site.upstream.connections) == 1
    await accepted[0].say("session.end")
    await accepted[0].until_closed()


@pytest.mark.parametrize(
    "offer", [[], ["voice.v1"], ["t.x"], ["voice.v1", "t.x"], ["voice.v1", "t.a", "t.b"], ["chat", "t.x"]]
)
async def test_a_socket_without_a_good_token_never_opens(make_site: Any, offer: list[str]) -> None:
    site = await make_site()
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"ws://127.0.0.1:{site.port}/ws/realtime/", subprotocols=offer or None)
    assert refusal.value.response.status_code == 403
    assert not site.upstream.connections


async def test_an_origin_that_was_not_minted_never_opens(make_site: Any, ada: Any) -> None:
    site = await make_site()
    page = Page(await site.mint(ada), origin="http://evil.example")
    with pytest.raises(InvalidStatus):
        await page.connect()
    assert not site.upstream.connections


async def test_another_address_is_refused_before_it_opens(make_site: Any) -> None:
    site = await make_site()
    with pytest.raises(InvalidStatus):
        await connect(f"ws://127.0.0.1:{site.port}/ws/other/")


async def test_a_spent_token_is_spent_for_ever(make_site: Any, ada: Any) -> None:
    site = await make_site()
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.say("session.end")
        await page.until_closed()
    again = Page(page.minted)
    with pytest.raises(InvalidStatus):
        await again.connect()
    text = page.minted["token"]
    claims = tokens.decode(text, time.time())
    with pytest.raises(Refused, match=r"token\.used"):
        await sync_to_async(redeem)(text)
    assert claims.session_id == page.minted["session_id"]
