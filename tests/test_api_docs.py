"""`docs/reference/api.md`, held to the code: every address with its methods, every field, every choice."""

import inspect
import re
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from conversations import choices
from conversations.api.serializers import ConversationSerializer, MessageSerializer, PreferencesSerializer
from conversations.models import Message

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


def addresses_in_code(resolver: URLResolver, prefix: str = "/") -> set[str]:
    """ "METHOD /path" of every view under `/api/`."""
    found: set[str] = set()
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= addresses_in_code(pattern, route) if pattern.app_name != "admin" else set()
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None)
            path = re.sub(
                r"<(\w+):(\w+)>", lambda match: "<id>" if match[1] == "uuid" else f"<{match[2]}>", route
            )
            if inspect.iscoroutinefunction(pattern.callback) and path.startswith("/api/"):  # they only read
                found.add(f"GET {path}")
            elif view is not None and issubclass(view, APIView):
                methods = [
                    name for name in view.http_method_names if hasattr(view, name) and name != "options"
                ]
                found |= {f"{method.upper()} {path}" for method in methods}
    return found


def table(heading: str) -> dict[str, str]:
    """First and second column of the table that follows a heading; several names in one cell are several rows."""
    section = re.split(r"^#{2,3} ", PAGE.split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", section, re.MULTILINE)
    return {name: meaning for names, meaning in rows for name in re.findall(r"`(\w+)`", names)}


def test_the_page_has_every_address_and_no_other() -> None:
    assert set(re.findall(r"^### `(\w+ \S+)`$", PAGE, re.MULTILINE)) == addresses_in_code(get_resolver())


def test_the_page_has_the_fields_of_a_conversation() -> None:
    shape = re.search(r"A conversation is `\{(.*?)\}`", PAGE)
    assert shape is not None
    assert re.findall(r'"(\w+)"', shape[1]) == ConversationSerializer.Meta.fields


def test_the_page_has_the_fields_of_a_message() -> None:
    assert list(table("Messages")) == MessageSerializer.Meta.fields


@pytest.mark.parametrize(
    ("field", "values"),
    [("role", Message.Role.values), ("modality", Message.Modality.values), ("status", Message.Status.values)],
)
def test_the_page_has_the_values_of_a_message(field: str, values: list[str]) -> None:
    assert re.findall(r"`(\w+)`", table("Messages")[field]) == values


def test_the_page_has_the_preferences() -> None:
    assert list(table("Preferences")) == PreferencesSerializer.Meta.fields


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("voice", choices.VOICE_CHOICES),
        ("turn_preset", choices.TURN_PRESET_CHOICES),
        ("language", choices.LANGUAGE_CHOICES),
        ("theme", choices.THEME_CHOICES),
    ],
)
def test_the_page_has_the_choices_of_each_preference(field: str, allowed: list[tuple[str, str]]) -> None:
    named = {value.strip('"') for value in re.findall(r'`(\w+|"")`', table("Preferences")[field])}
    assert named == {value for value, _label in allowed}
