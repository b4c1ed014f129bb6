"""The site's app: settings checks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "voiceproject"

    def ready(self) -> None:
        """Register the system checks."""
        from voiceproject import checks  # noqa: F401
