"""The apps of the admin and of `axes`, as this site has them. Not in `apps.py`, where Django looks for one class."""

from axes.apps import AppConfig as AxesConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class VoiceAdminConfig(AdminConfig):
    default_site = "voiceproject.admin_site.VoiceAdminSite"


class LoginProtectionConfig(AxesConfig):
    verbose_name = _("Wrong passwords")
