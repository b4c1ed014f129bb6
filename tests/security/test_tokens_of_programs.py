"""JSON web tokens: which algorithms and keys count, that refresh tokens rotate, and what ends them."""

from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken


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
    for key in (settings.SECRET_KEY, "x" * 40):
        assert opens(jwt.encode(claims, key, algorithm="HS256")) == 401
    assert opens(jwt.encode(claims, settings.SIMPLE_JWT["SIGNING_KEY"], algorithm="HS256")) == 200


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_another_algorithm_opens_nothing(ada: User, algorithm: str) -> None:
    claims = claims_of(ada)
    key = "" if algorithm == "none" else settings.SIMPLE_JWT["SIGNING_KEY"]
    assert opens(jwt.encode(claims, key, algorithm=algorithm)) == 401


@pytest.mark.parametrize("claim", ["aud", "iss", "exp", "token_type", "user_id"])
def test_a_token_without_one_of_its_claims_opens_nothing(ada: User, claim: str) -> None:
    claims = claims_of(ada)
    del claims[claim]
    assert opens(jwt.encode(claims, settings.SIMPLE_JWT["SIGNING_KEY"], algorithm="HS256")) == 401
