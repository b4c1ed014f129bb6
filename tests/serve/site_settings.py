"""The settings of a site that runs as a process of its own in these tests: the product's, with the clocks shortened."""

import json
import os

from realtime import web_server
from voiceproject.settings import *  # noqa: F403

ASGI_APPLICATION = "tests.serve.site_application.application"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
REALTIME_MAX_SESSIONS_PER_USER = 100
REALTIME_LEASE_SEC = 2
REALTIME_RENEW_EVERY_SEC = 0.5
REALTIME_REAP_EVERY_SEC = 0.5
globals().update(json.loads(os.environ.get("SITE_SETTINGS", "{}")))  # what one test wants otherwise
INSTALLED_APPS = [*INSTALLED_APPS, *globals().get("MORE_APPS", [])]  # noqa: F405
for _name, _value in globals().get("WEB_SERVER_LIMITS", {}).items():
    setattr(web_server, _name, _value)  # before the modules that use them are imported
