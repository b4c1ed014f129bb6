"""The JSON shapes of conversations, messages and preferences, and of what may be asked. No queries, no writes."""

from typing import Any

from django.utils.safestring import SafeString
from rest_framework import serializers

from conversations import choices
from conversations.markdown import heard_html, markdown_html, plain_html
from conversations.models import Conversation, Message, Preferences
from conversations.services import TITLE_MAX_CHARS

BIGGEST_POSITION = 2**63 - 1


class ConversationSerializer(serializers.ModelSerializer):
    """One conversation as the API shows it."""

    archived = serializers.SerializerMethodField()

    class Meta:
        model = Conversation
        fields = ["id", "title", "created_at", "updated_at", "archived", "keep"]

    def get_archived(self, conversation: Conversation) -> bool:
        """Whether it was put away."""
        return conversation.archived_at is not None


class ConversationChanges(serializers.Serializer):
    """What a person may set on a conversation."""

    title = serializers.CharField(max_length=TITLE_MAX_CHARS, allow_blank=True, required=False)
    archived = serializers.BooleanField(required=False)
    keep = serializers.ChoiceField(choices=choices.KEEP_CHOICES, required=False)


class NewConversation(serializers.Serializer):
    """What a new conversation may begin with."""

    title = serializers.CharField(max_length=TITLE_MAX_CHARS, allow_blank=True, default="")
    keep = serializers.ChoiceField(choices=choices.KEEP_CHOICES, required=False)


class ConversationQuery(serializers.Serializer):
    """The query of the list of conversations."""

    q = serializers.CharField(max_length=200, allow_blank=True, default="")
    archived = serializers.BooleanField(default=False)


class MessageSerializer(serializers.ModelSerializer):
    """One message as the API and the chat page show it. `html` is safe to insert; nothing else is markup."""

    html = serializers.SerializerMethodField()

    class Meta:
        model = Message
        fields = [
            *("id", "item_id", "client_id", "position", "role", "modality", "status", "text", "html"),
            *("heard_chars", "heard_ms", "generated_ms", "audio_ms", "unsure", "created_at"),
        ]

    def get_html(self, message: Message) -> SafeString:
        """Markdown for typed answers; escaped text for what people wrote and for all speech."""
        if message.role != Message.Role.ASSISTANT:
            return plain_html(message.text)
        if message.modality == Message.Modality.TEXT:
            return markdown_html(message.text)
        if message.status == Message.Status.INTERRUPTED and message.heard_chars is not None:
            return heard_html(message.text, message.heard_chars)
        return plain_html(message.text)


class MessageQuery(serializers.Serializer):
    """The query of a page of messages."""

    before = serializers.IntegerField(min_value=0, max_value=BIGGEST_POSITION, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)


class TurnNumbers(serializers.Serializer):
    """One's own turn detection. What does not fit the kind is not used; what is left out is the site's."""

    type = serializers.ChoiceField(choices=choices.TURN_KINDS)
    threshold = serializers.FloatField(min_value=0.0, max_value=1.0, required=False)
    prefix_padding_ms = serializers.IntegerField(min_value=0, max_value=5_000, required=False)
    silence_duration_ms = serializers.IntegerField(min_value=50, max_value=10_000, required=False)
    eagerness = serializers.ChoiceField(choices=choices.EAGERNESS, required=False)


class PreferencesSerializer(serializers.ModelSerializer):
    """What a person chose, from the allowlists of `choices.py`."""

    voice = serializers.ChoiceField(choices=choices.VOICE_CHOICES, allow_blank=True)
    turn_preset = serializers.ChoiceField(choices=choices.TURN_PRESET_CHOICES)
    turn_custom = serializers.JSONField()
    speed = serializers.FloatField(min_value=0.75, max_value=1.5)
    noise_reduction = serializers.ChoiceField(choices=choices.NOISE_CHOICES)
    speech_language = serializers.ChoiceField(choices=choices.SPEECH_LANGUAGE_CHOICES, allow_blank=True)
    answers = serializers.ChoiceField(choices=choices.ANSWERS_CHOICES)
    end_after_sec = serializers.ChoiceField(choices=choices.END_AFTER_CHOICES)
    caption_style = serializers.ChoiceField(choices=choices.CAPTION_CHOICES)
    language = serializers.ChoiceField(choices=choices.LANGUAGE_CHOICES, allow_blank=True)
    theme = serializers.ChoiceField(choices=choices.THEME_CHOICES)
    keep = serializers.ChoiceField(choices=choices.KEEP_CHOICES)

    class Meta:
        model = Preferences
        fields = [
            *("voice", "turn_preset", "turn_custom", "speed", "interruptible", "noise_reduction"),
            *("speech_language", "answers", "end_after_sec", "captions", "caption_style"),
            *("language", "theme", "keep"),
        ]

    def validate_turn_custom(self, value: Any) -> dict[str, Any]:
        """Empty, or numbers within the bounds that the voice service has."""
        if value == {}:
            return {}
        numbers = TurnNumbers(data=value)
        numbers.is_valid(raise_exception=True)
        return dict(numbers.validated_data)
