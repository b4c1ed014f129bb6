"""What ends a person's sessions at once, or what they keep: Django's signals of logout, changed rights and deletion."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.models import Conversation
from realtime import access
from realtime.models import RealtimeSession
from realtime.switchboard import rights_changed

RIGHTS = {"password", "is_active"}


@receiver(user_logged_out, dispatch_uid="realtime.logged_out")
def logged_out(sender: Any, request: HttpRequest, user: Any, **more: Any) -> None:
    """The sessions that this login began are over; those of the person's other logins go on."""
    key = getattr(request, "session", None) and request.session.session_key
    if user is not None and key:
        access.end_sessions(RealtimeSession.objects.filter(user=user, login_key=key), "revoked")
        transaction.on_commit(rights_changed)


@receiver(post_save, sender=get_user_model(), dispatch_uid="realtime.person_saved")
def person_saved(
    sender: Any, created: bool = False, update_fields: Collection[str] | None = None, **more: Any
) -> None:
    """A new password or a deactivated account: the sessions are compared with the row when they are looked at."""
    if not created and (update_fields is None or RIGHTS & set(update_fields)):
        transaction.on_commit(rights_changed)


@receiver(post_delete, sender=get_user_model(), dispatch_uid="realtime.person_deleted")
def person_deleted(sender: Any, **more: Any) -> None:
    """A deleted account."""
    transaction.on_commit(rights_changed)


@receiver(post_save, sender=Conversation, dispatch_uid="realtime.keeping_chosen")
def keeping_chosen(sender: Any, update_fields: Collection[str] | None = None, **more: Any) -> None:
    """Consent was taken back: what is live keeps less from now on."""
    if update_fields is not None and "keep" in update_fields:
        transaction.on_commit(rights_changed)
