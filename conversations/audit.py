"""Notes of what staff did with people's content: who, when, from where, why. Never the content itself."""

from django.http import HttpRequest

from conversations.models import AuditEntry, Conversation


def content_viewed(request: HttpRequest, conversation: Conversation, reason: str) -> AuditEntry:
    """Somebody is about to read what was said."""
    return AuditEntry.objects.create(
        actor_id=request.user.pk,
        action=AuditEntry.Action.VIEW_CONTENT,
        conversation_id=conversation.pk,
        reason=" ".join(reason.split()),
        address=(request.META.get("REMOTE_ADDR") or "")[:45],
    )
