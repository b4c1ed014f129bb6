"""What happens before a WebSocket is open: keys, paths, parameters, refusals, client secrets. Pure; sends nothing."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers

from realtime.local import rules
from realtime.local import session_config as sc
from realtime.local.errors import ProtocolError, error_block
from realtime.local.ids import Ids
from realtime.local.options import LocalConfig

PATH = "/v1/realtime"
SECRETS_PATH = "/v1/realtime/client_secrets"
KEY_PROTOCOL = "openai-insecure-api-key."
_SECRET_BODY = rules.record(
    {
        "expires_after": rules.record(
            {"anchor": rules.choice("created_at"), "seconds": rules.number(10, 7_200, whole=True)}
        ),
        "session": rules.anything,
    }
)


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An HTTP answer instead of an open socket."""

    status: HTTPStatus | int
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an accepted connection asks for."""

    model: str
    kind: str  # realtime | transcription


def refusal(status: int, code: str, message: str, *headers: tuple[str, str]) -> Refusal:
    type = "server_error" if status >= 500 else "invalid_request_error"
    return Refusal(status, {"error": error_block(ProtocolError(code, message, type=type))}, headers)


def key_of(headers: Headers) -> str | None:
    """The key from `Authorization: Bearer` or, as browsers send it, from the subprotocols."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    for offered in ",".join(headers.get_all("Sec-WebSocket-Protocol")).split(","):
        if offered.strip().startswith(KEY_PROTOCOL):
            return offered.strip().removeprefix(KEY_PROTOCOL) or None
    return None


def wanted(path: str, headers: Headers) -> Wanted:
    """What the client asks for. Raises `ProtocolError` for what is answered after accepting, with close 4000."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "realtime=v1" in headers.get("OpenAI-Beta", ""):
        raise ProtocolError(
            "beta_api_shape_disabled",
            "The beta shape of the Realtime API is no longer supported: leave out the OpenAI-Beta header.",
        )
    if "intent" in query:
        if query["intent"] != ["transcription"]:
            raise ProtocolError(
                "invalid_intent", "Invalid intent: the supported value is 'transcription'.", "intent"
            )
        return Wanted("", "transcription")
    model = query.get("model", [sc.DEFAULT_MODEL])[0]
    sc.check_model(model)
    return Wanted(model, "realtime")


class Keys:
    """Which keys are let in. Client secrets that were made here count until they expire."""

    def __init__(self, config: LocalConfig) -> None:
        self._required = config.require_key or bool(config.keys)
        self._known = config.keys
        self._secrets: dict[str, float] = {}

    def check(self, headers: Headers, epoch_s: float) -> None:
        """Raises `Refusal` (401) for a key that is missing or wrong."""
        key = key_of(headers)
        if key is not None and key.startswith("ek_"):
            if self._secrets.get(key, 0) > epoch_s:
                return
            raise refusal(401, "invalid_api_key", "The client secret is not known or has expired.")
        if not self._required:
            return
        if key is None:
            raise refusal(
                401, "missing_api_key", "You didn't provide an API key: send an Authorization: Bearer header."
            )
        if self._known and not any(
            secrets.compare_digest(key.encode(), known.encode()) for known in self._known
        ):
            raise refusal(401, "invalid_api_key", "Incorrect API key provided.")

    def mint(self, body: bytes, ids: Ids, epoch_s: int) -> dict[str, Any]:
        """The answer to POST /v1/realtime/client_secrets. Raises `ProtocolError` (to be sent as 400)."""
        try:
            wish = json.loads(body or b"{}")
        except ValueError:
            raise ProtocolError("invalid_json", "The body is not valid JSON.") from None
        _SECRET_BODY(wish, "")
        update = wish.get("session", {"type": "realtime"})
        if not isinstance(update, dict):
            raise rules.wrong_type("session", "an object", update)
        kind = "transcription" if update.get("type") == "transcription" else "realtime"
        # Minting does not look at the model; a wrong one shows when it connects.
        session = sc.default_session(
            id=ids.new("sess"), model=str(update.get("model", sc.DEFAULT_MODEL)), kind=kind, expires_at=0
        )
        session = sc.updated(session, update) | {"expires_at": 0}
        self._secrets = {secret: end for secret, end in self._secrets.items() if end > epoch_s}
        expires_at = epoch_s + wish.get("expires_after", {}).get("seconds", 600)
        value = f"ek_{secrets.token_hex(16)}"
        self._secrets[value] = expires_at
        return {"value": value, "expires_at": expires_at, "session": session}
