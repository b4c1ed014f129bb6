"""The JSON side of one's account: tokens to log in a program, and the export of one's data."""

from typing import cast

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from conversations.api.views import PrivateAPIView
from voiceproject import account

_never_stored = method_decorator(cache_control(no_store=True), name="dispatch")


@_never_stored
class ObtainToken(TokenObtainPairView):
    """`{"username", "password"}` for `{"access", "refresh"}`."""


@_never_stored
class RefreshToken(TokenRefreshView):
    """`{"refresh"}` for a new `{"access"}`."""


class Export(PrivateAPIView):
    """All of one's own data as one file."""

    def get(self, request: Request) -> Response:
        """JSON, offered for saving."""
        name = f"voice-chat-export-{timezone.localdate():%Y-%m-%d}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(account.export_person(cast(User, request.user)), headers=headers)
