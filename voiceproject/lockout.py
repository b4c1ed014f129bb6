"""Who has to wait after wrong passwords: how addresses are told apart and how fast each rule is. Counting is axes'."""

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db.models import Sum
from django.http import HttpRequest

from realtime import doorkeeper

# From many addresses against one account: slower than the rule for one address, or strangers could lock people out.
ANY_ADDRESS_FACTOR = 10
SENTENCE = "Too many wrong passwords. Wait a while, then try again."


def address_of(request: HttpRequest) -> str:
    """The address that counts: the one that our own outermost proxy saw, never one that the visitor made up."""
    direct: str = request.META.get("REMOTE_ADDR") or "0.0.0.0"  # noqa: S104 - a mark for "unknown"
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return doorkeeper.address_of(direct, [forwarded], int(str(settings.REST_FRAMEWORK["NUM_PROXIES"])))


class PacedHandler(AxesDatabaseHandler):
    """Counts as axes does, with a slower pace for one account from any address."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Failures on the scale of `AXES_FAILURE_LIMIT`."""
        pair, account = (
            attempts.aggregate(count=Sum("failures_since_start"))["count"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        )
        return max(pair, account // ANY_ADDRESS_FACTOR)


def is_password_of(request: HttpRequest, user: User, password: str) -> bool:
    """Whether it is, for forms of somebody who is logged in. A wrong one counts as one at the login does.

    Who has tried too often is told so by axes' middleware, whatever the view answers.
    """
    found = authenticate(request, username=user.get_username(), password=password)
    return found is not None and found.pk == user.pk


def locked_out(request: HttpRequest, username: str) -> bool:
    """Whether this person, at this address, has to wait. For doors that do not go through a form."""
    return not AxesProxyHandler.is_allowed(request, {"username": username})
