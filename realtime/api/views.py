"""`POST /api/voice/realtime-session`: who may talk, and where. Never the upstream's key, never hidden instructions."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from realtime import admission, metrics
from realtime.api.serializers import MintRequest
from realtime.conf import RelayConfig
from realtime.consumers import PROTOCOL
from realtime.exceptions import Refused

logger = logging.getLogger("realtime.api")


class MintThrottle(UserRateThrottle):
    """A pace for mints; the real limits are on sessions."""

    scope = "mint"


class RealtimeSessionView(APIView):
    """Mint a session token."""

    throttle_classes = [MintThrottle]

    def post(self, request: Request) -> Response:
        """200 with the session, or `{"code", "message", ...}` with 400, 401, 404, 413, 429 or 503."""
        fields = MintRequest(data=request.data)
        if not fields.is_valid():
            return answer(
                {"code": "invalid", "message": "Some fields are not right.", "fields": fields.errors},
                status=400,
            )
        try:
            minted = admission.mint(
                user=request.user,
                origin=self._origin(request),
                login_key=self._login_key(request),
                **fields.validated_data,
            )
        except Refused as refused:
            metrics.admission_refused_total.labels(refused.code).inc()
            logger.info("account %s was refused a session: %s", request.user.pk, refused.code)
            body: dict[str, Any] = {"code": refused.code, "message": refused.sentence}
            headers = {}
            if refused.retry_after_s is not None:
                body["retry_after"] = refused.retry_after_s
                headers["Retry-After"] = str(int(refused.retry_after_s))
            return answer(body, status=refused.status, headers=headers)
        logger.info("session %s was granted to account %s", minted.session_id, request.user.pk)
        scheme = "wss" if request.is_secure() else "ws"
        return answer(
            {
                "session_id": str(minted.session_id),
                "url": f"{scheme}://{request.get_host()}/ws/realtime/{minted.session_id}/",
                "protocol": PROTOCOL,
                "token": minted.token,
                "expires_at": minted.expires_at.isoformat(),
                "model": minted.config.model,
                "conversation_id": str(minted.conversation_id),
                "voice_config": voice_config(minted.config),
                "resumed": minted.resumed,
            }
        )

    def _login_key(self, request: Request) -> str:
        """The key of the login that asks, so that logging out ends the session; empty for programs."""
        if not isinstance(request.successful_authenticator, SessionAuthentication):
            return ""
        return request.session.session_key or ""

    def _origin(self, request: Request) -> str:
        """The one origin whose pages may use the token; empty for programs with a JWT that send none."""
        origin = request.headers.get("Origin", "")
        if not origin and isinstance(request.successful_authenticator, JWTAuthentication):
            return ""
        own = f"{request.scheme}://{request.get_host()}"
        if origin != own and origin not in settings.ALLOWED_ORIGINS:
            raise Refused(403, "origin.refused", "This page may not open a voice connection.")
        return origin

    def throttled(self, request: Request, wait: float | None) -> NoReturn:
        """Too many mints."""
        raise_after = None if wait is None else float(int(wait) + 1)
        raise TooManyMints(raise_after)

    def handle_exception(self, exc: Exception) -> Response:
        """Our own shape for the errors that the framework finds."""
        if isinstance(exc, TooManyMints):
            body = {
                "code": "limit.rate",
                "message": "Too many starts at once. Wait a moment, then start again.",
            }
            return answer({**body, "retry_after": exc.after_s}, status=429)
        if isinstance(exc, DatabaseError):
            logger.warning("no mint: the database answers with %s", type(exc).__name__)
            body = {"code": "busy.database", "message": "The site is busy saving. Try again in a moment."}
            return answer({**body, "retry_after": 2.0}, status=503, headers={"Retry-After": "2"})
        if isinstance(exc, ParseError):
            return answer({"code": "invalid", "message": "What was sent is not JSON."}, status=400)
        if isinstance(exc, RequestDataTooBig):
            return answer({"code": "invalid", "message": "What was sent is too large."}, status=413)
        return super().handle_exception(exc)


class TooManyMints(Exception):
    """The pace was exceeded; `after_s` says when to try again."""

    def __init__(self, after_s: float | None) -> None:
        super().__init__()
        self.after_s = after_s


def answer(body: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response that no cache may keep."""
    return Response(body, status=status, headers={"Cache-Control": "no-store", **(headers or {})})


def voice_config(config: RelayConfig) -> dict[str, Any]:
    """What the page may know of the session's configuration."""
    return {
        "voice": config.voice,
        "modalities": ["text", "audio"] if config.modality == "voice" else ["text"],
        "input_audio_format": {"type": "audio/pcm", "rate": 24000},
        "output_audio_format": {"type": "audio/pcm", "rate": 24000},
        "input_audio_transcription": {
            "model": config.transcription_model,
            "language": config.language or None,
        },
        "turn_detection": config.turn_detection,
    }
