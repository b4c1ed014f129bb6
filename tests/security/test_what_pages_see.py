"""Each event that the provider's own types describe, with a mark in every text of it: which marks reach a page."""

from __future__ import annotations

import base64
import itertools
import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import BaseModel

from realtime import browser_events
from realtime.effects import RecordEvent, SendBrowser
from realtime.session import Session
from tests.security.test_odd_upstream import talking

MEMBERS: tuple[type[BaseModel], ...] = get_args(get_args(RealtimeServerEvent)[0])
AUDIO = base64.b64encode(bytes(960)).decode()
# What a page sees of the upstream's texts: what was said, the ids by which it knows items and answers again, and the
# name of a function that is called.
SEEN = {
    "conversation.item.input_audio_transcription.completed": {"item_id", "transcript"},
    "conversation.item.input_audio_transcription.failed": {"item_id"},
    "input_audio_buffer.speech_started": {"item_id"},
    "input_audio_buffer.speech_stopped": {"item_id"},
    "response.created": {"response.id"},
    "response.done": {"response.id"},
    "response.output_audio.delta": {"item_id"},
    "response.output_audio_transcript.delta": {"delta", "item_id"},
    "response.output_item.done": {"item.id", "item.name"},
    "response.output_text.delta": {"delta", "item_id"},
}
# What is kept of it for those who run the site, beside the talk itself.
KEPT = {
    "error": {"error.code"},
    "response.done": {"response.status_details.error.code"},
    "response.output_item.done": {"item.name"},
}


class Marks:
    """Makes events of a type, each text of which is a mark of its own."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self._numbers = itertools.count()

    def mark(self, path: str) -> str:
        text = f"canary-{next(self._numbers)}-"
        self.places[text] = path
        return text

    def values(self, annotation: Any, path: str) -> Iterator[Any]:
        """A value for each kind that the annotation allows."""
        origin, inside = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            yield from self.values(inside[0], path)
        elif origin in (Union, types.UnionType):
            for one in inside:
                if one is not type(None):
                    yield from self.values(one, path)
        elif origin is Literal:
            yield inside[0]
        elif origin is list:
            yield from ([one] for one in self.values(inside[0], path))
        elif origin is dict:
            yield {self.mark(f"{path}.key"): self.mark(f"{path}.value")}
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from self.objects(annotation, path)
        elif annotation in (int, float):
            yield 7
        elif annotation is bool:
            yield True
        else:  # a text, or anything at all
            yield self.mark(path)

    def objects(self, model: type[BaseModel], path: str) -> Iterator[dict[str, Any]]:
        """One with all fields, and one for each further kind of a field."""
        kinds = {
            name: list(self.values(field.annotation, f"{path}.{name}".lstrip(".")))
            for name, field in model.model_fields.items()
        }
        first = {name: values[0] for name, values in kinds.items()}
        yield first
        for name, values in kinds.items():
            yield from ({**first, name: other} for other in values[1:])


def name_of(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["type"].annotation)[0])


def told_and_kept(event: dict[str, Any]) -> tuple[str, str]:
    """What a page is told after the event, and what the session keeps of it: with new ids, then known ones."""
    told, kept = [], []
    for is_known in (False, True):
        session = talking()
        session.upstream_event(
            {"type": "response.output_text.delta", "item_id": "i", "response_id": "r", "delta": "a"}, 0
        )
        effects = session.upstream_event(with_known_ids(event) if is_known else event, 1)
        for effect in effects + session.end("revoked", 2):
            if isinstance(effect, SendBrowser):
                assert effect.message["type"] in browser_events.TO_BROWSER
                told.append(json.dumps(effect.message))
            elif isinstance(effect, RecordEvent):
                kept.append(json.dumps(effect.data))
    return "\n".join(told), "\n".join(kept)


def with_known_ids(event: dict[str, Any]) -> dict[str, Any]:
    """The event as one about the answer and the item that are there."""
    own = {name: value for name, value in (("item_id", "i"), ("response_id", "r")) if name in event}
    for name, value in (("response", "r"), ("item", "i")):
        if isinstance(event.get(name), dict):
            own[name] = {**event[name], "id": value}
    return event | own


def test_every_kind_of_event_of_the_provider_is_tried() -> None:
    names = {name_of(model) for model in MEMBERS}
    assert len(names) == len(MEMBERS) >= 40
    assert SEEN.keys() | KEPT.keys() <= names
    assert {name for name in Session.UPSTREAM if name not in names} == set()


@pytest.mark.parametrize("model", MEMBERS, ids=name_of)
def test_a_page_sees_of_an_event_what_is_listed_and_no_more(model: type[BaseModel]) -> None:
    marks, kind = Marks(), name_of(model)
    seen: set[str] = set()
    noted: set[str] = set()
    for event in marks.objects(model, ""):
        event["type"] = kind
        if kind == "response.output_audio.delta":
            event["delta"] = AUDIO
        told, kept = told_and_kept(event)
        seen |= {path for mark, path in marks.places.items() if mark in told}
        noted |= {path for mark, path in marks.places.items() if mark in kept}
    assert seen == SEEN.get(kind, set())
    assert noted == KEPT.get(kind, set())
