"""The relay's app."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"

    def ready(self) -> None:
        """Register the system checks."""
        from realtime import checks  # noqa: F401
