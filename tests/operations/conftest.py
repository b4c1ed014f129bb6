"""What tests of operations share with those of the relay, and with each other."""

import pytest

# The first import configures logging anew, which would take pytest's own handler away in the middle of a test.
import voiceproject.asgi  # noqa: F401
from realtime import past
from tests.realtime.conftest import make_site  # noqa: F401


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page sums up all that it shows, however long this machine takes: what it leaves is tested with counts."""
    monkeypatch.setattr(past, "LOOK_S", 3_600.0)
