"""What tests of operations share with those of the relay, and with each other."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

# The first import configures logging anew, which would take pytest's own handler away in the middle of a test.
import voiceproject.asgi  # noqa: F401
from realtime import past
from tests.realtime.conftest import make_site  # noqa: F401


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page sums up all that it shows, however long this machine takes: what it leaves is tested with counts."""
    monkeypatch.setattr(past, "LOOK_S", 3_600.0)


@pytest.fixture
def operators(operator: User, page_of: Callable[[User], Client]) -> Client:
    """The operator's browser."""
    return page_of(operator)
