"""What the log says of logins: that one came to be, ended or failed, of which account by its number, and from where.

Never the name that was typed: people type their password there by mistake. And what is kept of a failure: not what else
the form held. What people do with their data is noted in the database (`conversations/audit.py`).
"""

from __future__ import annotations

import logging
from typing import Any

from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from voiceproject.lockout import address_of

logger = logging.getLogger("voiceproject.logins")


@receiver(user_logged_in, dispatch_uid="voiceproject.logged_in")
def logged_in(sender: Any, request: HttpRequest | None, user: Any, **more: Any) -> None:
    """A login came to be."""
    logger.info("account %s logged in from %s", user.pk, _where(request))


def program_logged_in(request: HttpRequest, account: Any) -> None:
    """A program has tokens from now on. No signal tells of that."""
    logger.info("account %s has tokens for a program at %s", account, _where(request))


@receiver(user_logged_out, dispatch_uid="voiceproject.logged_out")
def logged_out(sender: Any, request: HttpRequest | None, user: Any, **more: Any) -> None:
    """A login ended; who was not logged in can log out too."""
    if user is not None:
        logger.info("account %s logged out from %s", user.pk, _where(request))


@receiver(user_login_failed, dispatch_uid="voiceproject.login_failed")
def login_failed(sender: Any, request: HttpRequest | None = None, **more: Any) -> None:
    """A wrong password, or a name that there is not."""
    logger.warning("a login failed from %s", _where(request))


@receiver(user_locked_out, dispatch_uid="voiceproject.locked_out")
def locked_out(sender: Any, request: HttpRequest | None = None, **more: Any) -> None:
    """Somebody has to wait."""
    logger.warning("logins are locked for a while from %s", _where(request))


@receiver(pre_save, sender=AccessAttempt, dispatch_uid="voiceproject.no_forms")
def keep_no_forms(sender: Any, instance: AccessAttempt, **more: Any) -> None:
    """axes masks the fields that it knows by name; in a form for a new password that is not the new one."""
    instance.get_data = instance.post_data = ""


def _where(request: HttpRequest | None) -> str:
    return "nowhere" if request is None else address_of(request)
