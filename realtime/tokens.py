"""Session tokens: signed, short, bound to session, person, conversation, origin. Single use is up to the database.

The text fits a WebSocket subprotocol: letters, digits, `-`, `_` and dots only.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from uuid import UUID

from django.core import signing

SALT = "realtime.session-token"
AUDIENCE = "voice"
MAX_SKEW_S = 30


class InvalidToken(Exception):
    """Not ours, altered, expired, or from the future. The text says which, never what was sent."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """The claims. `origin` is empty for programs that send none; `auth_hash` ties it to the password of the moment."""

    jti: str
    session_id: str
    user_id: int
    conversation_id: str
    modality: str
    origin: str
    auth_hash: str
    resume: bool
    iat: int
    exp: int
    aud: str = AUDIENCE
    login: str = ""  # mark of the login that minted it (see `access.py`); empty for programs

    @property
    def session_uuid(self) -> UUID:
        """The session's id."""
        return UUID(self.session_id)


def new_jti() -> str:
    """128 random bits."""
    return secrets.token_urlsafe(16)


def encode(token: SessionToken) -> str:
    """The signed text."""
    body = (
        base64.urlsafe_b64encode(json.dumps(asdict(token), separators=(",", ":")).encode())
        .rstrip(b"=")
        .decode()
    )
    return signing.Signer(salt=SALT, sep=".").sign(body)


def decode(text: str, now_s: float) -> SessionToken:
    """The claims of a text that we signed and that is valid now. Raises InvalidToken."""
    if len(text) > 2_048:
        raise InvalidToken("too long")
    try:
        body = signing.Signer(salt=SALT, sep=".").unsign(text)
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        token = SessionToken(**claims)
    except (signing.BadSignature, ValueError, TypeError):
        raise InvalidToken("signature") from None
    if token.aud != AUDIENCE:
        raise InvalidToken("audience")
    if token.iat > now_s + MAX_SKEW_S:
        raise InvalidToken("from the future")
    if now_s >= token.exp:
        raise InvalidToken("expired")
    return token
