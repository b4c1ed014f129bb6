"""The product's settings, with limits that a bench does not meet and passwords that cost nothing to check."""

from voiceproject.settings import *  # noqa: F403

REALTIME_MAX_SESSIONS_PER_USER = REALTIME_MAX_SESSIONS = 10_000
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
