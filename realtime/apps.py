"""The relay's app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RealtimeConfig(AppConfig):
    name = "realtime"
    verbose_name = _("Voice sessions")

    def ready(self) -> None:
        """Register the system checks, and listen to what ends people's rights and recordings."""
        from realtime import checks, recordings, revocation  # noqa: F401
