"""JSON web tokens: which algorithms and keys count, that refresh tokens rotate, and what ends them."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

import voiceproject.settings as site_settings
from realtime import admission


def refresh(token: str) -> Any:
    return APIClient().post("/api/token/refresh/", {"refresh": token}, format="json")


def opens(access: str) -> int:
    return APIClient(headers={"Authorization": f"Bearer {access}"}).get("/api/conversations/").status_code


def claims_of(user: User) -> dict[str, Any]:
    return jwt.decode(str(AccessToken.for_user(user)), options={"verify_signature": False})


def test_a_refresh_token_is_good_once(ada: User) -> None:
    first = str(RefreshToken.for_user(ada))
    answer = refresh(first)
    assert answer.status_code == 200
    second = answer.json()["refresh"]
    assert second != first
    assert refresh(first).status_code == 401
    assert refresh(second).status_code == 200


def test_a_new_password_ends_refresh_tokens(ada: User) -> None:
    token = str(RefreshToken.for_user(ada))
    ada.set_password("analytical-1843")
    ada.save()
    assert refresh(token).status_code == 401


def test_a_token_that_another_key_signed_opens_nothing(ada: User) -> None:
    claims = claims_of(ada)
    # The tests have a SECRET_KEY of their own; the keys of tokens were made from the site's.
    for key in (settings.SECRET_KEY, str(site_settings.SECRET_KEY), "x" * 40):
        assert opens(jwt.encode(claims, key, algorithm="HS256")) == 401
    assert opens(jwt.encode(claims, settings.SIMPLE_JWT["SIGNING_KEY"], algorithm="HS256")) == 200


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_another_algorithm_opens_nothing(ada: User, algorithm: str) -> None:
    claims = claims_of(ada)
    key = "" if algorithm == "none" else settings.SIMPLE_JWT["SIGNING_KEY"]
    assert opens(jwt.encode(claims, key, algorithm=algorithm)) == 401


def segment(fields: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "HS256 ", "hs256", "", None, ["HS256"], "none"])
def test_a_header_that_names_another_algorithm_opens_nothing_although_the_key_is_right(
    ada: User, algorithm: Any
) -> None:
    """As somebody does who signs with a public key, where a server takes it for a shared one."""
    key = str(settings.SIMPLE_JWT["SIGNING_KEY"]).encode()

    def signed(named: Any) -> str:
        signed_part = segment({"typ": "JWT", "alg": named}) + b"." + segment(claims_of(ada))
        mac = base64.urlsafe_b64encode(hmac.digest(key, signed_part, "sha256")).rstrip(b"=")
        return (signed_part + b"." + mac).decode()

    assert opens(signed("HS256")) == 200
    assert opens(signed(algorithm)) == 401


def test_access_tokens_end_with_the_password_and_with_the_account(ada: User) -> None:
    before = str(AccessToken.for_user(ada))
    assert opens(before) == 200
    ada.set_password("analytical-1843")
    ada.save()
    assert opens(before) == 401
    after = AccessToken.for_user(ada), RefreshToken.for_user(ada)
    assert opens(str(after[0])) == 200
    User.objects.update(is_active=False)
    assert opens(str(after[0])) == 401
    assert refresh(str(after[1])).status_code == 401


def test_a_token_of_one_kind_is_not_taken_for_another(ada: User) -> None:
    assert opens(str(RefreshToken.for_user(ada))) == 401
    assert refresh(str(AccessToken.for_user(ada))).status_code == 401
    assert opens(admission.mint(user=ada, origin="").token) == 401


@pytest.mark.parametrize("claim", ["aud", "iss", "exp", "token_type", "user_id"])
def test_a_token_without_one_of_its_claims_opens_nothing(ada: User, claim: str) -> None:
    claims = claims_of(ada)
    del claims[claim]
    assert opens(jwt.encode(claims, settings.SIMPLE_JWT["SIGNING_KEY"], algorithm="HS256")) == 401
