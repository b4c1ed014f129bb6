"""What tests of operations share with those of the relay."""

# The first import configures logging anew, which would take pytest's own handler away in the middle of a test.
import voiceproject.asgi  # noqa: F401
from tests.realtime.conftest import make_site  # noqa: F401
