"""The site's app: settings checks, and what the log says of logins."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "voiceproject"

    def ready(self) -> None:
        """Register the system checks and the words on logins, and describe the API for its schema."""
        from voiceproject import api_schema, checks, logins  # noqa: F401

        api_schema.describe()
