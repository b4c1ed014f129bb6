"""The JSON side of one's account: tokens to log in a program, and the export of one's data."""

from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.serializers import TokenObtainSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken
from rest_framework_simplejwt.utils import get_md5_hash_password
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from conversations import audit
from conversations.api.views import PrivateAPIView
from voiceproject import account, logins
from voiceproject.lockout import SENTENCE, locked_out

LONGEST_NAME = 150  # of Django's own accounts
_never_stored = method_decorator(cache_control(no_store=True), name="dispatch")


@_never_stored
class ObtainToken(TokenObtainPairView):
    """`{"username", "password"}` for `{"access", "refresh"}`; 429 after too many wrong passwords."""

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Wrong passwords count as they do on the login page."""
        username = request.data.get("username") if isinstance(request.data, dict) else None
        if isinstance(username, str) and not may_be_a_name(username):
            raise AuthenticationFailed(str(TokenObtainSerializer.default_error_messages["no_active_account"]))
        if isinstance(username, str) and locked_out(request._request, username):
            wait_s = int(settings.AXES_COOLOFF_TIME.total_seconds())
            return Response(
                {"detail": SENTENCE},
                status=HTTPStatus.TOO_MANY_REQUESTS,
                headers={"Retry-After": str(wait_s)},
            )
        answer = super().post(request, *args, **kwargs)
        if answer.status_code == HTTPStatus.OK:
            logins.program_logged_in(request._request, AccessToken(answer.data["access"])["user_id"])
        return answer


def may_be_a_name(username: str) -> bool:
    """Whether an account can have this name. Attempts for others could not even be noted in the database."""
    if len(username) > LONGEST_NAME or "\0" in username:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in username)  # half a letter; JSON can hold it


class RefreshSerializer(TokenRefreshSerializer):
    """The library compares the password's mark on access tokens only; a refresh token is to end with it too."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """Raises AuthenticationFailed when the password is another one since."""
        token = self.token_class(attrs["refresh"])
        user = User.objects.filter(pk=token.get(api_settings.USER_ID_CLAIM)).first()
        mark = token.get(api_settings.REVOKE_TOKEN_CLAIM)
        if user is None or mark != get_md5_hash_password(user.password):
            raise AuthenticationFailed("The password was changed since. Log in again.")
        return super().validate(attrs)


@_never_stored
class RefreshToken(TokenRefreshView):
    """`{"refresh"}` for a new `{"access", "refresh"}`; the old one is good no more."""

    serializer_class = RefreshSerializer


class Export(PrivateAPIView):
    """All of one's own data as one file."""

    def get(self, request: Request) -> Response:
        """JSON, offered for saving."""
        name = f"voice-chat-export-{timezone.localdate():%Y-%m-%d}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        audit.note(request, audit.Action.EXPORT_ACCOUNT)
        return Response(account.export_person(cast(User, request.user)), headers=headers)
