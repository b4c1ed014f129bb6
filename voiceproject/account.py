"""What spans everything kept about one person: export and deletion. The pages for it are in `account_pages.py`."""

from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from conversations.api.serializers import ConversationSerializer, MessageSerializer, PreferencesSerializer
from conversations.models import AuditEntry, Conversation, Preferences
from realtime.models import RealtimeSession, Recording, UsedToken
from realtime.recording_file import LANES
from voiceproject import deletion

EXPORT_FORMAT = "voiceproject-export-1"
_SESSION_FIELDS = (
    *(
        "id",
        "conversation_id",
        "modality",
        "engine",
        "model",
        "voice",
        "started_at",
        "ended_at",
        "end_reason",
        "turns",
    ),
    *("interruptions", "audio_in_ms", "audio_out_ms", "user_agent", "cost_usd", "cost_complete"),
)
_USAGE_FIELDS = (
    *("meter", "reference", "created_at", "text_in", "audio_in", "cached_text", "cached_audio", "text_out"),
    *("audio_out", "image_in", "cached_image", "reasoning_out", "seconds", "model", "usd"),
)


def export_person(user: User) -> dict[str, Any]:
    """All that is kept about one person, as data for JSON. Deleted conversations are in it until they are purged."""
    conversations = (
        Conversation.objects.filter(owner=user).order_by("created_at").prefetch_related("messages")
    )
    return {
        "format": EXPORT_FORMAT,
        "exported_at": timezone.now().isoformat(),
        "account": {
            "username": user.get_username(),
            "email": user.email,
            "date_joined": user.date_joined.isoformat(),
            "last_login": user.last_login.isoformat() if user.last_login else None,
        },
        "preferences": PreferencesSerializer(Preferences.of(user)).data,
        "conversations": [_conversation(conversation) for conversation in conversations],
        "sessions": _sessions(user),
        "recordings": _recordings(user),
    }


@transaction.atomic
def delete_person(user: User) -> dict[str, int]:
    """Delete the account and all that is kept of it; returns how many rows of each model went.

    Safe to call for an account that is already gone.
    """
    session_ids = deletion.lock_person(user.pk)
    # Spent tokens name their session without a foreign key.
    tokens, _by_model = UsedToken.objects.filter(session_id__in=session_ids).delete()
    # Rows of libraries that would stay, with the name or a token in them.
    refreshes, _by_model = OutstandingToken.objects.filter(user=user).delete()
    attempts, _by_model = AccessAttempt.objects.filter(username=user.get_username()).delete()
    # That they exported or deleted stays noted, from where does not.
    of_staff = (AuditEntry.Action.VIEW_CONTENT, AuditEntry.Action.LISTEN)
    AuditEntry.objects.filter(actor=user).exclude(action__in=of_staff).update(address="")
    others = {UsedToken: tokens, OutstandingToken: refreshes, AccessAttempt: attempts}
    _total, deleted = User.objects.filter(pk=user.pk).delete()
    return deleted | {model._meta.label: count for model, count in others.items() if count}


def _conversation(conversation: Conversation) -> dict[str, Any]:
    # Sorted here, not by the database: `in_order()` would ask once for each conversation.
    messages = sorted(conversation.messages.all(), key=lambda message: (message.position, message.created_at))
    rows = MessageSerializer(messages, many=True).data
    for row in rows:
        del row["html"]  # made from the text, which is there
    return {
        **ConversationSerializer(conversation).data,
        "deleted": conversation.deleted_at is not None,
        "messages": rows,
    }


def _sessions(user: User) -> list[dict[str, Any]]:
    sessions = RealtimeSession.objects.filter(user=user).order_by("started_at").prefetch_related("usage")
    return [
        {
            **{name: getattr(session, name) for name in _SESSION_FIELDS},
            "usage": [{name: getattr(row, name) for name in _USAGE_FIELDS} for row in session.usage.all()],
        }
        for session in sessions
    ]


def _recordings(user: User) -> list[dict[str, Any]]:
    """Kept audio is too large for JSON: where it can be fetched, with the same rights as this export."""
    return [
        {
            "session_id": row.pk,
            "conversation_id": row.conversation_id,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "wav": {lane: reverse("session_audio", args=[row.pk, lane]) for lane in LANES},
        }
        for row in Recording.objects.filter(conversation__owner=user).order_by("created_at")
    ]
