"""The REST views of conversations, messages and preferences: read the request, call one service or queryset, answer.

Another person's object is 404 everywhere: the querysets begin at the owner.
"""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.text import slugify
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations import audit, services
from conversations.api.pagination import ConversationPagination
from conversations.api.serializers import (
    ConversationChanges,
    ConversationQuery,
    ConversationSerializer,
    MessageQuery,
    MessageSerializer,
    NewConversation,
    PreferencesSerializer,
)
from conversations.export import as_markdown, as_webvtt
from conversations.models import Conversation, Message, Preferences


class PrivateAPIView(APIView):
    """A view whose answers are one person's own: never kept by a browser or a proxy."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Mark the answer, errors too."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer


class ConversationList(PrivateAPIView):
    """List and search one's conversations; begin one."""

    def get(self, request: Request) -> Response:
        """`?q=` words, `?archived=true` for those put away."""
        query = ConversationQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        conversations = Conversation.objects.owned_by(request.user).archived(query.validated_data["archived"])
        if words := query.validated_data["q"]:
            conversations = conversations.matching(words)
        pagination = ConversationPagination()
        page = pagination.paginate_queryset(conversations, request, view=self)
        return pagination.get_paginated_response(ConversationSerializer(page, many=True).data)

    def post(self, request: Request) -> Response:
        """A new conversation: 201."""
        new = NewConversation(data=request.data)
        new.is_valid(raise_exception=True)
        conversation = services.create_conversation(owner=request.user, **new.validated_data)
        return Response(ConversationSerializer(conversation).data, status=status.HTTP_201_CREATED)


class ConversationDetail(PrivateAPIView):
    """Read, change and delete one conversation."""

    def get(self, request: Request, conversation_id: UUID) -> Response:
        """The conversation, without its messages."""
        return Response(ConversationSerializer(_own(request, conversation_id)).data)

    def patch(self, request: Request, conversation_id: UUID) -> Response:
        """Set any of `title`, `archived` and `keep`."""
        conversation = _own(request, conversation_id)
        changes = ConversationChanges(data=request.data)
        changes.is_valid(raise_exception=True)
        if "title" in changes.validated_data:
            services.rename_conversation(conversation=conversation, title=changes.validated_data["title"])
        if "archived" in changes.validated_data:
            archive = changes.validated_data["archived"]
            move = services.archive_conversation if archive else services.unarchive_conversation
            move(conversation=conversation)
        if "keep" in changes.validated_data:
            services.choose_keeping(conversation=conversation, keep=changes.validated_data["keep"])
        return Response(ConversationSerializer(conversation).data)

    def delete(self, request: Request, conversation_id: UUID) -> Response:
        """Hide it until it is restored or purged: 204."""
        services.delete_conversation(conversation=_own(request, conversation_id))
        audit.note(request, audit.Action.DELETE_CONVERSATION, conversation_id=conversation_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConversationRestore(PrivateAPIView):
    """Undo a deletion."""

    def post(self, request: Request, conversation_id: UUID) -> Response:
        """The conversation, back again; one that was not deleted is left as it is."""
        conversation = get_object_or_404(Conversation, pk=conversation_id, owner=request.user)
        return Response(ConversationSerializer(services.restore_conversation(conversation=conversation)).data)


class MessageList(PrivateAPIView):
    """The messages of one conversation, in pages from the end."""

    def get(self, request: Request, conversation_id: UUID) -> Response:
        """`?before=` a position, `?limit=`; oldest first. The answer's `before` leads to earlier ones, or is null."""
        conversation = _own(request, conversation_id)
        query = MessageQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        before, limit = query.validated_data.get("before"), query.validated_data["limit"]
        page, has_more = conversation.messages.all().page_before(before, limit)
        earlier = page[0].position if has_more else None
        return Response({"results": MessageSerializer(page, many=True).data, "before": earlier})


class MessageDetail(PrivateAPIView):
    """One message."""

    def get(self, request: Request, conversation_id: UUID, message_id: UUID) -> Response:
        """The message; 404 also when it belongs to another conversation."""
        message = get_object_or_404(
            Message,
            pk=message_id,
            conversation_id=conversation_id,
            conversation__owner=request.user,
            conversation__deleted_at=None,
        )
        return Response(MessageSerializer(message).data)


class ConversationExport(PrivateAPIView):
    """One conversation as a file."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """The address names the form, whatever the `Accept` header prefers."""
        return super().perform_content_negotiation(request, force=True)

    def get(self, request: Request, conversation_id: UUID, form: str) -> HttpResponseBase:
        """`form`: "json", "markdown" or "webvtt"; any other is 404."""
        conversation = _own(request, conversation_id)
        messages = conversation.messages.in_order()
        match form:
            case "json":
                rows = MessageSerializer(messages, many=True).data
                answer: HttpResponseBase = Response(
                    {**ConversationSerializer(conversation).data, "messages": rows}
                )
                ending = "json"
            case "markdown":
                answer = HttpResponse(
                    as_markdown(conversation, messages), content_type="text/markdown; charset=utf-8"
                )
                ending = "md"
            case "webvtt":
                answer = HttpResponse(
                    as_webvtt(conversation, messages), content_type="text/vtt; charset=utf-8"
                )
                ending = "vtt"
            case _:
                raise Http404
        audit.note(request, audit.Action.EXPORT_CONVERSATION, conversation_id=conversation.pk)
        name = slugify(conversation.title) or "conversation"
        answer["Content-Disposition"] = f'attachment; filename="{name}.{ending}"'
        return answer


class PreferencesDetail(PrivateAPIView):
    """One's own preferences."""

    def get(self, request: Request) -> Response:
        """What was chosen, or the defaults."""
        return Response(PreferencesSerializer(Preferences.of(request.user)).data)

    def patch(self, request: Request) -> Response:
        """Set any of them."""
        choices = PreferencesSerializer(data=request.data, partial=True)
        choices.is_valid(raise_exception=True)
        return Response(
            PreferencesSerializer(
                services.save_preferences(owner=request.user, **choices.validated_data)
            ).data
        )


def _own(request: Request, conversation_id: UUID) -> Conversation:
    return get_object_or_404(Conversation.objects.owned_by(request.user), pk=conversation_id)
