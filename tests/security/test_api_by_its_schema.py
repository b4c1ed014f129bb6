"""Every operation of the API under requests made from its own schema: no 5xx, and no answer but those it describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, settings
from rest_framework_simplejwt.tokens import AccessToken
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conversations.models import Conversation, Message
from conversations.services import create_conversation, record_message
from realtime.models import RealtimeSession

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
schema.app = get_wsgi_application()


@pytest.fixture
def hers(ada: User) -> dict[str, str]:
    """An object of Ada's for each argument of an address."""
    conversation: Conversation = create_conversation(owner=ada, title="Bread")
    message: Message | None = record_message(
        conversation_id=conversation.pk, session_id=uuid4(), item_id="i", position=1, role="user",
        modality="text", status="completed", text="How long?",
    )  # fmt: skip
    assert message is not None
    session = RealtimeSession.objects.create(id=uuid4(), user=ada, modality="text", engine="local", model="m")
    return {
        "conversation_id": str(conversation.pk),
        "message_id": str(message.pk),
        "session_id": str(session.pk),
        "form": "json",
    }


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """The requests run on the test's own connection, which must not be closed around them (as in Django's client)."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@EXAMPLES
def test_an_operation_answers_as_its_schema_says(case: Any, ada: User, hers: dict[str, str]) -> None:
    token = AccessToken.for_user(ada)
    given = dict(case.path_parameters or {})
    for own in (False, True) if given else (False,):
        case.path_parameters = {
            name: hers.get(name, value) if own else value for name, value in given.items()
        }
        with transaction.atomic():
            answer = case.call(headers={"Authorization": f"Bearer {token}"})
            case.validate_response(answer, checks=CHECKS)
            transaction.set_rollback(True)


def test_every_operation_of_the_schema_is_tried() -> None:
    tried = {
        (operation.ok().method.upper(), operation.ok().path) for operation in schema.get_all_operations()
    }
    found = {(method.upper(), path) for path, item in schema.raw_schema["paths"].items() for method in item}
    assert tried == found
    assert len(tried) >= 18
