"""One's own live sessions over HTTP: list them, end one. Minting is in `views.py`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.views import PrivateAPIView
from realtime import access
from realtime.models import RealtimeSession
from realtime.switchboard import rights_changed


class LiveSessionSerializer(serializers.ModelSerializer[RealtimeSession]):
    """A session as its person sees it."""

    class Meta:
        model = RealtimeSession
        fields = ["id", "conversation_id", "modality", "started_at", "user_agent"]
        read_only_fields = fields


class SessionList(PrivateAPIView):
    """One's own sessions that are under way."""

    def get(self, request: Request) -> Response:
        """Latest first."""
        return Response(
            {"results": LiveSessionSerializer(access.live_sessions(request.user), many=True).data}
        )


class SessionDetail(PrivateAPIView):
    """One of one's own sessions that are under way."""

    def delete(self, request: Request, session_id: UUID) -> Response:
        """End it: 204."""
        end_own_session(request.user, session_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


def end_own_session(user: Any, session_id: UUID) -> None:
    """End a person's own session; 404 when there is none that is under way."""
    if not access.end_sessions(access.live_sessions(user).filter(pk=session_id), "person_ended"):
        raise Http404
    rights_changed()
