"""How the API tells of errors that Django would answer with a page: in its own shape."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

TOO_LARGE = "This is too large. At most {} bytes are taken."
NOT_TAKEN = "This request cannot be taken as it is."


def answer_to(error: Exception, context: dict[str, Any]) -> Response | None:
    """`{"detail": ...}` with 413 for a body that is too large, 400 for what else Django refuses to read."""
    if not isinstance(error, SuspiciousOperation):
        return exception_handler(error, context)
    set_rollback()
    if isinstance(error, RequestDataTooBig):
        detail = TOO_LARGE.format(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return Response({"detail": detail}, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return Response({"detail": NOT_TAKEN}, status=HTTPStatus.BAD_REQUEST)
