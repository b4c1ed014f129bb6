"""Notes of what people should be able to ask about: who, when, from where, what, and why. Never content."""

from uuid import UUID

from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle

from conversations.models import AuditEntry, Conversation

Action = AuditEntry.Action


def content_viewed(request: HttpRequest, conversation: Conversation, reason: str) -> AuditEntry:
    """Somebody is about to read what was said."""
    return note(request, Action.VIEW_CONTENT, conversation_id=conversation.pk, reason=reason)


def content_heard(request: HttpRequest, conversation_id: UUID, reason: str) -> AuditEntry:
    """Somebody is about to listen to what was said."""
    return note(request, Action.LISTEN, conversation_id=conversation_id, reason=reason)


def note(
    request: HttpRequest, action: AuditEntry.Action, *, conversation_id: UUID | None = None, reason: str = ""
) -> AuditEntry:
    """Who is logged in does this now. The address is the one that our outermost proxy saw (`NUM_PROXIES`)."""
    # The parent class reads only what both kinds of requests have.
    address = BaseThrottle().get_ident(request)  # type: ignore[arg-type]
    return AuditEntry.objects.create(
        actor_id=request.user.pk,
        action=action,
        conversation_id=conversation_id,
        reason=" ".join(reason.split()),
        address=(address or "")[:45],
    )
