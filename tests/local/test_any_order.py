"""Whatever a client sends in whatever order: the session never fails, and its promises hold."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.local.effects import Respond, StopResponding, Transcribe
from realtime.local.engine import Heard
from tests.local.pure_session import PureSession

IDS = st.sampled_from(["a", "b", "c"])
SESSIONS = st.fixed_dictionaries(
    {
        "audio": st.fixed_dictionaries(
            {
                "input": st.fixed_dictionaries(
                    {},
                    optional={
                        "turn_detection": st.sampled_from(
                            [
                                None,
                                {"type": "server_vad"},
                                {"type": "server_vad", "interrupt_response": False},
                                {"type": "server_vad", "create_response": False, "silence_duration_ms": 100},
                                {"type": "semantic_vad", "eagerness": "high"},
                            ]
                        ),
                        "transcription": st.sampled_from([None, {"model": "gpt-transcribe"}]),
                        "format": st.sampled_from(
                            [{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}]
                        ),
                    },
                )
            }
        )
    },
    optional={"output_modalities": st.sampled_from([["text"], ["audio"]])},
)
STEPS = st.one_of(
    st.tuples(st.just("configure"), SESSIONS),
    st.tuples(st.just("speech"), st.sampled_from([40, 300, 900])),
    st.tuples(st.just("silence"), st.sampled_from([60, 300, 2500])),
    st.tuples(st.just("type"), IDS),
    st.tuples(st.just("delete"), IDS),
    st.tuples(
        st.just("send"),
        st.sampled_from(["commit", "clear", "create", "aside", "cancel", "truncate", "garbage"]),
    ),
    st.tuples(st.just("recognised"), st.sampled_from(["Hello there.", "", "failed"])),
    st.tuples(st.just("say"), st.sampled_from([0, 250])),
    st.tuples(st.just("answered"), st.sampled_from(["done", "failed", "call"])),
    st.tuples(st.just("wait"), st.sampled_from([100, 60_000])),
)


class Client:
    """Performs steps; results come back late, early, twice or for things that are gone, as they do."""

    def __init__(self) -> None:
        self.pure = PureSession(max_session_ms=200_000)
        self.sent: list[dict[str, Any]] = []
        self.last_answer_id = "item_none"

    def step(self, name: str, value: Any) -> None:
        pure, session = self.pure, self.pure.session
        events: list[dict[str, Any]] = []
        match name:
            case "configure":
                events = pure.send("session.update", session={"type": "realtime", **value})
            case "speech":
                events = pure.speech(value)
            case "silence":
                events = pure.silence(value)
            case "type":
                events = pure.type_message("hello", id=value)
            case "delete":
                events = pure.send("conversation.item.delete", item_id=value)
            case "send":
                events = self.control(value)
            case "recognised":
                for work in [effect for effect in pure.effects if isinstance(effect, Transcribe)][-2:]:
                    place = work.item_id, work.take, work.kind
                    if value == "failed":
                        effects = session.not_transcribed(*place, "server_busy", "Busy.", pure.now_ms)
                    else:
                        effects = session.transcribed(*place, Heard(value), pure.now_ms)
                    events += pure.take(effects)
            case "say" if pure.requests():
                events = pure.say("Once upon a time.", value)
            case "answered" if pure.requests():
                response_id = pure.requests()[-1].response_id
                if value == "call":
                    events = pure.take(session.answer_call(response_id, "look", "{}", pure.now_ms))
                elif value == "failed":
                    events = pure.take(
                        session.answer_failed(response_id, "server_error", "x", "y", pure.now_ms)
                    )
                else:
                    events = pure.finish()
            case "wait":
                events = pure.tick(pure.now_ms + value)
        self.sent += events
        for event in events:
            if event["type"] == "response.output_item.added":
                self.last_answer_id = event["item"]["id"]

    def control(self, value: str) -> list[dict[str, Any]]:
        pure = self.pure
        match value:
            case "commit" | "clear":
                return pure.send(f"input_audio_buffer.{value}")
            case "create":
                return pure.send("response.create")
            case "aside":
                return pure.send("response.create", response={"conversation": "none"})
            case "cancel":
                return pure.send("response.cancel")
            case "truncate":
                place = {"item_id": self.last_answer_id, "content_index": 0, "audio_end_ms": 100}
                return pure.send("conversation.item.truncate", **place)
        return pure.take(pure.session.receive('{"type": "nonsense"', pure.now_ms))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_promises_hold_in_any_order(steps: list[tuple[str, Any]]) -> None:
    client = Client()
    for name, value in steps:
        client.step(name, value)

    events = client.sent
    ids = [event["event_id"] for event in events]
    assert len(set(ids)) == len(ids)
    json.dumps(events)

    created = [event["response"]["id"] for event in events if event["type"] == "response.created"]
    done = [event["response"]["id"] for event in events if event["type"] == "response.done"]
    assert len(set(created)) == len(created)
    assert len(set(done)) == len(done)
    assert set(done) <= set(created)

    running = set()
    in_conversation = 0
    for event in events:
        response_id = event.get("response_id")
        assert response_id is None or response_id in running
        if event["type"] == "response.created":
            running.add(event["response"]["id"])
            in_conversation += event["response"]["conversation_id"] is not None
            assert in_conversation <= 1
        elif event["type"] == "response.done":
            running.remove(event["response"]["id"])
            in_conversation -= event["response"]["conversation_id"] is not None
            assert all(item["status"] in ("completed", "incomplete") for item in event["response"]["output"])

    opened = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    closed = [event["item"]["id"] for event in events if event["type"] == "response.output_item.done"]
    assert len(set(closed)) == len(closed)
    assert set(closed) <= set(opened)

    started = [event["item_id"] for event in events if event["type"] == "input_audio_buffer.speech_started"]
    stopped = [event["item_id"] for event in events if event["type"] == "input_audio_buffer.speech_stopped"]
    assert set(stopped) <= set(started)
    assert len(set(stopped)) == len(stopped)

    transcribed = [event["item_id"] for event in events if event["type"].endswith("transcription.completed")]
    assert len(set(transcribed)) == len(transcribed)

    asked = [effect.request.response_id for effect in client.pure.effects if isinstance(effect, Respond)]
    stopped_work = [
        effect.response_id for effect in client.pure.effects if isinstance(effect, StopResponding)
    ]
    assert len(set(asked)) == len(asked)
    assert set(stopped_work) <= set(asked)
