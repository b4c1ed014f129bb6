"""The relay's app."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"

    def ready(self) -> None:
        """Register the system checks, and listen to what ends people's rights and recordings."""
        from realtime import checks, recordings, revocation  # noqa: F401
