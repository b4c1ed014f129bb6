"""The cursor of the list of conversations. Messages page by position instead, on their queryset."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class ConversationPagination(CursorPagination):
    """Latest activity first, 50 a page, `?limit=` up to 100."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 100
    ordering = ("-updated_at", "-id")

    def decode_cursor(self, request: Any) -> Any:
        """The cursor asked for. A broken one is a wrong field (400), not a missing page."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                # The base class hands any text on to the database.
                datetime.fromisoformat(str(cursor.position)).astimezone(UTC)
        except (NotFound, ValueError, OverflowError):
            raise ValidationError(
                {"cursor": ["This cursor is not valid. Start again without one."]}
            ) from None
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        """`next` as a path: behind a proxy the site does not know its own outer address."""
        following = self.get_next_link()
        if following is not None:
            parts = urlsplit(following)
            following = f"{parts.path}?{parts.query}"
        return Response({"results": data, "next": following})
