"""Notes of what staff did with people's content: who, when, from where, why. Never the content itself."""

from uuid import UUID

from django.http import HttpRequest

from conversations.models import AuditEntry, Conversation


def content_viewed(request: HttpRequest, conversation: Conversation, reason: str) -> AuditEntry:
    """Somebody is about to read what was said."""
    return _note(request, AuditEntry.Action.VIEW_CONTENT, conversation.pk, reason)


def content_heard(request: HttpRequest, conversation_id: UUID, reason: str) -> AuditEntry:
    """Somebody is about to listen to what was said."""
    return _note(request, AuditEntry.Action.LISTEN, conversation_id, reason)


def _note(request: HttpRequest, action: str, conversation_id: UUID, reason: str) -> AuditEntry:
    return AuditEntry.objects.create(
        actor_id=request.user.pk,
        action=action,
        conversation_id=conversation_id,
        reason=" ".join(reason.split()),
        address=(request.META.get("REMOTE_ADDR") or "")[:45],
    )
