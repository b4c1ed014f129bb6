"""What the OpenAPI schema says of each view: requests, answers, queries. The views themselves know nothing of it."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers

from conversations.api import serializers as shapes
from conversations.api import views as conversations
from realtime.api import recordings, sessions, views
from realtime.api.serializers import MintRequest
from voiceproject import account_api

FREE_FORM = OpenApiTypes.OBJECT
DETAIL = inline_serializer("Detail", {"detail": serializers.CharField()})
PROBLEM = inline_serializer(
    "Problem",
    {
        "code": serializers.CharField(),
        "message": serializers.CharField(),
        "retry_after": serializers.FloatField(required=False, allow_null=True),
        "fields": serializers.DictField(required=False),
    },
)
MINTED = inline_serializer(
    "Minted",
    {
        "session_id": serializers.UUIDField(),
        "url": serializers.CharField(),
        "protocol": serializers.CharField(),
        "token": serializers.CharField(),
        "expires_at": serializers.DateTimeField(),
        "model": serializers.CharField(),
        "conversation_id": serializers.UUIDField(),
        "voice_config": serializers.DictField(),
        "resumed": serializers.BooleanField(),
    },
)


def page_of(name: str, shape: Any, onward: str, kind: serializers.Field) -> Any:
    """`{"results": [...]}` and where the next page begins."""
    return inline_serializer(name, {"results": shape(many=True), onward: kind})


def answers(good: dict[Any, Any], *, invalid: bool = False, missing: bool = False) -> dict[Any, Any]:
    """The good answers and those that any view may give instead."""
    found = {**good, 401: DETAIL, 403: DETAIL}
    if invalid:
        found[400] = OpenApiResponse(FREE_FORM, "These fields are not right.")
        found[413] = DETAIL  # it takes a body, so that may be too large
    if missing:
        found[404] = DETAIL
    return found


def describe() -> None:
    """Tell the schema of all views. Called once, when the site starts."""
    conversation, message = shapes.ConversationSerializer, shapes.MessageSerializer
    extend_schema_field(OpenApiTypes.STR)(message.get_html)
    next_page = serializers.CharField(allow_null=True)
    earlier = serializers.IntegerField(allow_null=True)
    limit = OpenApiParameter("limit", int)
    extend_schema_view(
        get=extend_schema(
            operation_id="conversations_list",
            parameters=[shapes.ConversationQuery, limit, OpenApiParameter("cursor", str)],
            responses=answers({200: page_of("Conversations", conversation, "next", next_page)}, invalid=True),
        ),
        post=extend_schema(
            request=shapes.NewConversation, responses=answers({201: conversation}, invalid=True)
        ),
    )(conversations.ConversationList)
    extend_schema_view(
        get=extend_schema(responses=answers({200: conversation}, missing=True)),
        patch=extend_schema(
            request=shapes.ConversationChanges,
            responses=answers({200: conversation}, invalid=True, missing=True),
        ),
        delete=extend_schema(responses=answers({204: None}, missing=True)),
    )(conversations.ConversationDetail)
    extend_schema_view(
        post=extend_schema(request=None, responses=answers({200: conversation}, missing=True))
    )(conversations.ConversationRestore)
    extend_schema_view(
        get=extend_schema(
            operation_id="messages_list",
            parameters=[shapes.MessageQuery],
            responses=answers(
                {200: page_of("Messages", message, "before", earlier)}, invalid=True, missing=True
            ),
        )
    )(conversations.MessageList)
    extend_schema_view(
        get=extend_schema(operation_id="messages_retrieve", responses=answers({200: message}, missing=True))
    )(conversations.MessageDetail)
    files: dict[Any, Any] = {
        (200, "application/json"): FREE_FORM,
        (200, "text/markdown"): OpenApiTypes.STR,
        (200, "text/vtt"): OpenApiTypes.STR,
    }
    form = OpenApiParameter("form", str, OpenApiParameter.PATH, enum=["json", "markdown", "webvtt"])
    extend_schema_view(get=extend_schema(parameters=[form], responses=answers(files, missing=True)))(
        conversations.ConversationExport
    )
    extend_schema_view(
        get=extend_schema(responses=answers({200: shapes.PreferencesSerializer})),
        patch=extend_schema(
            request=shapes.PreferencesSerializer,
            responses=answers({200: shapes.PreferencesSerializer}, invalid=True),
        ),
    )(conversations.PreferencesDetail)
    extend_schema_view(get=extend_schema(responses=answers({200: FREE_FORM})))(account_api.Export)
    pair = inline_serializer(
        "TokenPairAnswer", {"access": serializers.CharField(), "refresh": serializers.CharField()}
    )
    wrong = OpenApiResponse(FREE_FORM, "These fields are not right.")
    tokens: dict[Any, Any] = {200: pair, 400: wrong, 413: DETAIL}
    extend_schema_view(post=extend_schema(responses={**tokens, 401: DETAIL, 429: DETAIL}))(
        account_api.ObtainToken
    )
    extend_schema_view(post=extend_schema(responses={**tokens, 401: DETAIL}))(account_api.RefreshToken)
    extend_schema_view(
        get=extend_schema(
            operation_id="sessions_list",
            responses=answers(
                {200: inline_serializer("Sessions", {"results": sessions.LiveSessionSerializer(many=True)})}
            ),
        )
    )(sessions.SessionList)
    extend_schema_view(delete=extend_schema(responses=answers({204: None}, missing=True)))(
        sessions.SessionDetail
    )
    wav: dict[Any, Any] = {
        (200, "audio/wav"): OpenApiTypes.BINARY,
        (206, "audio/wav"): OpenApiTypes.BINARY,
        416: OpenApiResponse(description="There is nothing in this range."),
    }
    lane = OpenApiParameter("lane", str, OpenApiParameter.PATH, enum=["said", "heard", "both"])
    heard = extend_schema(responses=answers(wav, missing=True))
    extend_schema_view(get=heard)(recordings.MessageAudio)
    extend_schema_view(get=extend_schema(parameters=[lane], responses=answers(wav, missing=True)))(
        recordings.SessionLane
    )
    extend_schema_view(delete=extend_schema(responses=answers({204: None}, missing=True)))(
        recordings.ConversationAudio
    )
    problems: dict[Any, Any] = dict.fromkeys((400, 403, 404, 413, 429, 503), PROBLEM)
    extend_schema_view(
        post=extend_schema(request=MintRequest, responses={200: MINTED, 401: DETAIL, **problems})
    )(views.RealtimeSessionView)
