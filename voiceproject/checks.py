"""System checks of the site's own settings, `voiceproject.E001` and on. The relay's are in `realtime/checks.py`."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register, run_checks

from voiceproject import env

SHORTEST_SECRET, FEWEST_CHARACTERS = 50, 5
OWN_MACHINE = {"127.0.0.1", "localhost", "[::1]", "testserver"}


@register()
def check_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every variable that could not be read, each by name."""
    return [Error(sentence, id="voiceproject.E001") for sentence in env.problems]


@register()
def check_secret_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A production site needs a key of its own."""
    if settings.DEBUG:
        return []
    key = settings.SECRET_KEY
    if key == settings.DEV_SECRET_KEY:
        return [
            Error(
                "SECRET_KEY is not set, or is the development key. Set it to a long random text, or DEBUG to true.",
                id="voiceproject.E002",
            )
        ]
    if len(key) < SHORTEST_SECRET or len(set(key)) < FEWEST_CHARACTERS:
        return [
            Error(
                "SECRET_KEY is too short or too regular. Set it to at least 50 random characters.",
                id="voiceproject.E003",
            )
        ]
    return []


@register()
def check_debug(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Development pages show settings and code: not where another machine can ask for them."""
    if not settings.DEBUG or set(settings.ALLOWED_HOSTS) <= OWN_MACHINE:
        return []
    return [
        Error(
            "DEBUG is on, and ALLOWED_HOSTS names more than this machine. Set DEBUG to false.",
            id="voiceproject.E005",
        )
    ]


@register()
def check_allowed_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Without hosts every request would be refused."""
    if "*" in settings.ALLOWED_HOSTS:
        return [Error("ALLOWED_HOSTS must name hosts; * lets anybody choose one.", id="voiceproject.E006")]
    if settings.DEBUG or settings.ALLOWED_HOSTS:
        return []
    return [Error("ALLOWED_HOSTS is empty. Name the hosts that the site answers to.", id="voiceproject.E004")]


def stop_on_errors() -> None:
    """Run all checks as `manage.py check` does; a server that is started without it must not start either."""
    errors = [message for message in run_checks() if message.is_serious()]
    if errors:
        raise SystemExit(
            "The site cannot start:\n" + "\n".join(f"  {error.id}: {error.msg}" for error in errors)
        )
