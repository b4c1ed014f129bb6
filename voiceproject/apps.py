"""The site's app: settings checks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "voiceproject"

    def ready(self) -> None:
        """Register the system checks, and describe the API for its schema."""
        from voiceproject import api_schema, checks  # noqa: F401

        api_schema.describe()
