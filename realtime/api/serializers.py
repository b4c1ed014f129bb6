"""The fields of the mint's request."""

from rest_framework import serializers

from realtime.models import RealtimeSession


class MintRequest(serializers.Serializer):
    """All fields are optional."""

    conversation_id = serializers.UUIDField(required=False, allow_null=True, default=None)
    modality = serializers.ChoiceField(
        choices=RealtimeSession.Modality.choices, required=False, default=RealtimeSession.Modality.VOICE
    )
    resume_session_id = serializers.UUIDField(required=False, allow_null=True, default=None)
