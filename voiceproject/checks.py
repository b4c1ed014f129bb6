"""System checks of the site's own settings, `voiceproject.E001` and on. The relay's are in `realtime/checks.py`."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, register, run_checks

from voiceproject import env


@register()
def check_environment(app_configs, **kwargs) -> list[CheckMessage]:
    """Every variable that could not be read, each by name."""
    return [Error(sentence, id="voiceproject.E001") for sentence in env.problems]


@register()
def check_secret_key(app_configs, **kwargs) -> list[CheckMessage]:
    """A production site needs a key of its own."""
    if settings.DEBUG:
        return []
    if not settings.SECRET_KEY:
        return [
            Error(
                "SECRET_KEY is not set. Set it to a long random text, or DEBUG to true.",
                id="voiceproject.E002",
            )
        ]
    if settings.SECRET_KEY == settings.DEV_SECRET_KEY:
        return [Error("SECRET_KEY is the development key. Set one of your own.", id="voiceproject.E003")]
    return []


@register()
def check_allowed_hosts(app_configs, **kwargs) -> list[CheckMessage]:
    """Without hosts every request would be refused."""
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
