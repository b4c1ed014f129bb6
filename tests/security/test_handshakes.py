"""Who asks for a voice socket: sixteen ways without a right to it, a token used again, five hundred tokens at once."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.core import signing
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from conversations.models import Conversation
from realtime import access, admission, tokens
from realtime.exceptions import Refused
from realtime.models import RealtimeSession, UsedToken
from tests.realtime.page import eventually

SPENT = "token.used"


def body_of(token: tokens.SessionToken) -> str:
    raw = json.dumps(dataclasses.asdict(token), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(user: User, good: str) -> dict[str, str]:
    """What somebody without a right may offer instead of a token; all but one are made from a good one."""
    now = int(time.time())
    token = tokens.decode(good, now)
    body, signature = good.rsplit(".", 1)
    change = dataclasses.replace
    root = change(token, user_id=user.pk + 1)
    return {
        "nothing": "",
        "nonsense": "x" * 200,
        "a body without a signature": body,
        "an empty signature": f"{body}.",
        "another person's id under an old signature": f"{body_of(root)}.{signature}",
        "a cut signature": good[:-2],
        "another key": signing.Signer(key="k" * 50, salt=tokens.SALT, sep=".").sign(body),
        "our key for another purpose": signing.Signer(salt="django.contrib.sessions", sep=".").sign(body),
        "no algorithm": jwt.encode(
            {"user_id": user.pk, "aud": "voice", "exp": now + 300}, "", algorithm="none"
        ),
        "expired": tokens.encode(change(token, iat=now - 900, exp=now - 600)),
        "from the future": tokens.encode(change(token, iat=now + 3_600, exp=now + 3_900)),
        "for somebody else": tokens.encode(change(token, aud="voiceproject-api")),
        "for nobody's account": tokens.encode(change(token, user_id=user.pk + 1_000)),
        "for another password": tokens.encode(change(token, auth_hash="0" * 32)),
        "a refresh token": str(RefreshToken.for_user(user)),
        "an access token": str(AccessToken.for_user(user)),
    }


async def test_whoever_has_no_right_is_refused_before_anything_is_opened_or_dialled(
    make_site: Any, ada: User
) -> None:
    site = await make_site()
    good = (await site.mint(ada))["token"]
    address = f"ws://127.0.0.1:{site.port}/ws/realtime/"
    for name, offer in (await sync_to_async(forged)(ada, good)).items():
        protocols = ["voice.v1", f"t.{offer}"] if offer else ["voice.v1"]
        with pytest.raises(InvalidStatus) as refusal:
            await connect(address, subprotocols=protocols)
        assert refusal.value.response.status_code == 403, name
    for elsewhere in (
        f"?token={good}",
        f"?t.{good}",
        f"{good}/",
    ):  # never in an address, where logs would keep it
        with pytest.raises(InvalidStatus) as refusal:
            await connect(address + elsewhere, subprotocols=["voice.v1"])
        assert refusal.value.response.status_code == 403
    assert site.upstream.connections == []
    assert not await RealtimeSession.objects.aexists()
    assert not await UsedToken.objects.aexists()
    async with connect(address, subprotocols=["voice.v1", f"t.{good}"]) as socket:
        assert socket.subprotocol == "voice.v1"  # the token itself is never sent back
    await eventually(lambda: not site.switchboard.relays)


def test_of_a_thousand_replays_none_is_taken(ada: User) -> None:
    token = admission.mint(user=ada, origin="", modality="text").token
    admission.redeem(token_text=token, origin="", worker="w")
    codes = set()
    for _ in range(1_000):
        with pytest.raises(Refused) as refused:
            admission.redeem(token_text=token, origin="", worker="w")
        codes.add(refused.value.code)
    assert codes == {SPENT}
    assert (RealtimeSession.objects.count(), UsedToken.objects.count()) == (1, 1)


def test_of_five_hundred_tokens_of_one_person_two_open_a_call_and_others_are_not_touched(
    ada: User, bob: User
) -> None:
    talks = Conversation.objects.bulk_create(Conversation(owner=ada) for _ in range(500))
    token = tokens.decode(admission.mint(user=ada, origin="").token, time.time())
    opened = 0
    for talk in talks:
        own = dataclasses.replace(
            token, jti=tokens.new_jti(), session_id=str(uuid4()), conversation_id=str(talk.pk)
        )
        try:
            admission.redeem(token_text=tokens.encode(own), origin="", worker="w")
            opened += 1
        except Refused as refused:
            assert refused.code == "limit.sessions"  # noqa: PT017 - one of many in a loop
    assert opened == access.live_sessions(ada).count() == site_settings.REALTIME_MAX_SESSIONS_PER_USER == 2
    his = admission.mint(user=bob, origin="")
    assert admission.redeem(token_text=his.token, origin="", worker="w").session_id == his.session_id
