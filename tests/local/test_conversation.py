"""The upstream conversation and typed turns: items, answers, truncation, cancelling, out-of-band responses, limits."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.local.pure_session import PureSession, error_of, types

TEXT_ANSWER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def answered(session: PureSession, text: str = "Yes.", audio_ms: int = 1000) -> str:
    """A typed question and its complete spoken answer; returns the answer's item id."""
    session.type_message("Is it so?")
    session.send("response.create")
    item_id: str = session.say(text, audio_ms)[0]["item"]["id"]
    session.finish()
    return item_id


def test_a_text_turn_in_the_recorded_order(session: PureSession) -> None:
    session.configure(output_modalities=["text"])
    assert types(session.type_message("Hello.")) == ["conversation.item.added", "conversation.item.done"]
    assert types(session.send("response.create")) == ["response.created"]
    assert types(session.say("Hi.") + session.finish()) == TEXT_ANSWER


def test_items_go_where_the_client_wants_them(session: PureSession) -> None:
    session.type_message("b", id="b")
    session.type_message("d", id="d")
    wish = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    after = session.send("conversation.item.create", item={**wish, "id": "c"}, previous_item_id="b")
    front = session.send("conversation.item.create", item={**wish, "id": "a"}, previous_item_id="root")
    assert (after[0]["previous_item_id"], front[0]["previous_item_id"]) == ("b", None)
    error = error_of(session.send("conversation.item.create", item=wish, previous_item_id="nowhere"))
    assert error["param"] == "previous_item_id"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "message", "role": "user"}, "item.content"),
        ({"type": "message", "role": "robot", "content": []}, "item.role"),
        ({"type": "message", "role": "user", "content": []}, "item.content"),
        ({"type": "message", "role": "user", "content": [{"type": "input_text"}]}, "item.content[0].text"),
        (
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "transcript": "Hi."}],
            },
            "item.content[0].text",
        ),
        ({"type": "function_call_output", "call_id": "call_x", "output": "1"}, "item.call_id"),
        ({"type": "telegram"}, "item.type"),
        ({"role": "user"}, "item.type"),
        ("hello", "item"),
    ],
)
def test_a_wrong_item_is_refused_by_the_name_of_its_field(
    session: PureSession, item: Any, param: str
) -> None:
    assert error_of(session.send("conversation.item.create", item=item))["param"] == param


def test_an_id_can_be_used_once(session: PureSession) -> None:
    session.type_message("one", id="same")
    assert error_of(session.type_message("two", id="same"))["param"] == "item.id"


def test_a_replayed_conversation_is_the_context_of_the_next_answer(session: PureSession) -> None:
    session.type_message("My name is Ada.")
    reply = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello, Ada."}],
    }
    session.send("conversation.item.create", item=reply)
    session.type_message("Who am I?")
    session.send("response.create")
    assert [(line.role, line.text) for line in session.requests()[0].lines] == [
        ("user", "My name is Ada."),
        ("assistant", "Hello, Ada."),
        ("user", "Who am I?"),
    ]


def test_truncation_cuts_the_audio_and_removes_the_transcript(session: PureSession) -> None:
    item_id = answered(session)
    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 400}
    (truncated,) = session.send("conversation.item.truncate", **cut)
    assert {name: truncated[name] for name in cut} == cut
    (retrieved,) = session.send("conversation.item.retrieve", item_id=item_id)
    (part,) = retrieved["item"]["content"]
    assert "transcript" not in part
    assert len(base64.b64decode(part["audio"])) == 400 * 48


def test_truncation_past_the_audio_is_refused_with_both_lengths(session: PureSession) -> None:
    cut = {"item_id": answered(session), "content_index": 0, "audio_end_ms": 1001}
    error = error_of(session.send("conversation.item.truncate", **cut))
    assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"


def test_only_spoken_answers_can_be_truncated(session: PureSession) -> None:
    session.type_message("hello", id="typed")
    cut = {"item_id": "typed", "content_index": 0, "audio_end_ms": 1}
    assert error_of(session.send("conversation.item.truncate", **cut))["code"] == "unsupported_content_type"


def test_an_answer_that_was_cut_is_remembered_as_far_as_it_was_heard(session: PureSession) -> None:
    session.type_message("Tell me.")
    session.send("response.create")
    session.say("First sentence.", audio_ms=1000)
    item_id = session.session._shared.conversation.last_id
    session.say("Second sentence.", audio_ms=1000)
    session.finish()
    session.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1500)
    session.type_message("Go on.")
    session.send("response.create")
    assert session.requests()[-1].lines[1].text == "First sentence."


def test_deleted_items_are_gone(session: PureSession) -> None:
    session.type_message("hello", id="typed")
    assert types(session.send("conversation.item.delete", item_id="typed")) == ["conversation.item.deleted"]
    error = error_of(session.send("conversation.item.retrieve", item_id="typed"))
    assert error["code"] == "item_retrieve_invalid_item_id"
    error = error_of(session.send("conversation.item.delete", item_id="typed"))
    assert error["code"] == "item_delete_invalid_item_id"


def test_one_answer_at_a_time(session: PureSession) -> None:
    session.type_message("hello")
    session.send("response.create")
    error = error_of(session.send("response.create", event_id="second"))
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")


def test_out_of_band_answers_run_beside_it_and_leave_no_item(session: PureSession) -> None:
    session.type_message("hello")
    session.send("response.create")
    aside = {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"for": "title"},
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "A title, please."}],
            }
        ],
    }
    (created,) = session.send("response.create", response=aside)
    assert created["response"]["conversation_id"] is None
    assert created["response"]["metadata"] == {"for": "title"}
    assert [line.text for line in session.requests()[-1].lines] == ["A title, please."]
    events = session.say("Greetings") + session.finish()
    assert "conversation.item.added" not in types(events)
    assert session.session._shared.conversation.last_id is not None
    assert len(list(session.session._shared.conversation)) == 1


def test_input_may_refer_to_items_of_the_conversation(session: PureSession) -> None:
    session.type_message("first", id="one")
    session.type_message("second", id="two")
    session.send("response.create", response={"input": [{"type": "item_reference", "id": "one"}]})
    assert [line.text for line in session.requests()[0].lines] == ["first"]
    unknown = {"conversation": "none", "input": [{"type": "item_reference", "id": "nine"}]}
    assert error_of(session.send("response.create", response=unknown))["param"] == "response.input[0].id"


def test_a_response_may_override_the_session(session: PureSession) -> None:
    session.type_message("hello")
    tool = {"type": "function", "name": "add"}
    session.send(
        "response.create",
        response={"instructions": "Shout.", "tools": [tool], "audio": {"output": {"voice": "cedar"}}},
    )
    request = session.requests()[0]
    assert (request.instructions, request.tools, request.voice) == ("Shout.", (tool,), "cedar")


@pytest.mark.parametrize(
    ("response", "param"),
    [
        ({"speed": 1}, "response.speed"),
        ({"output_modalities": ["text", "audio"]}, "response.output_modalities"),
        ({"metadata": {"k": "v" * 513}}, "response.metadata.k"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "response.metadata"),
        ({"conversation": "other"}, "response.conversation"),
    ],
)
def test_a_wrong_response_create_makes_no_response(session: PureSession, response: Any, param: str) -> None:
    assert error_of(session.send("response.create", response=response))["param"] == param
    assert session.requests() == []


def test_cancel_ends_the_answer_and_a_second_cancel_is_harmless(session: PureSession) -> None:
    session.type_message("hello")
    session.send("response.create")
    session.say("Well", audio_ms=250)
    events = session.send("response.cancel")
    assert events[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert error_of(session.send("response.cancel"))["code"] == "response_cancel_not_active"
    assert types(session.send("response.create")) == ["response.created"]


def test_max_output_tokens_makes_an_answer_incomplete(session: PureSession) -> None:
    session.type_message("hello")
    session.send("response.create", response={"max_output_tokens": 20})
    session.say("Well.", audio_ms=500)
    events = session.say("And so on.", audio_ms=1000)
    done = next(event for event in events if event["type"] == "response.done")
    assert done["response"]["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}


def test_a_function_call_in_the_recorded_order(session: PureSession) -> None:
    session.type_message("weather?")
    session.send("response.create")
    response_id = session.requests()[0].response_id
    events = session.take(
        session.session.answer_call(response_id, "weather", '{"city": "Bonn am Rhein"}', 0.0)
    )
    assert types(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    deltas = [event["delta"] for event in events if event["type"].endswith("arguments.delta")]
    assert "".join(deltas) == events[4]["arguments"] == '{"city": "Bonn am Rhein"}'
    assert (events[0]["item"]["status"], events[-1]["item"]["status"]) == ("in_progress", "completed")
    session.finish()
    output = {"type": "function_call_output", "call_id": events[4]["call_id"], "output": "sunny"}
    assert types(session.send("conversation.item.create", item=output))[0] == "conversation.item.added"
    session.send("response.create")
    assert session.requests()[-1].prompted_by == "tool_output"


def test_usage_counts_both_modalities_and_what_was_cached(session: PureSession) -> None:
    session.configure(instructions="x" * 400)
    answered(session, "Yes, indeed it is.", audio_ms=1000)
    session.type_message("Sure?")
    session.send("response.create")
    session.say("Sure.", audio_ms=500)
    usage = session.finish()[-2]["response"]["usage"]
    assert usage["input_token_details"]["text_tokens"] >= 100
    assert usage["input_token_details"]["audio_tokens"] == 20
    assert usage["input_token_details"]["cached_tokens"] == 64
    assert usage["output_token_details"]["audio_tokens"] == 10
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_uploaded_audio_is_recognised_before_it_is_answered(session: PureSession) -> None:
    audio = base64.b64encode(bytes(48 * 500)).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    added, _ = session.send("conversation.item.create", item=item)
    assert "audio" not in added["item"]["content"][0]
    session.send("response.create")
    assert session.requests() == []
    session.recognise("What is this?")
    assert session.requests()[0].lines[0].text == "What is this?"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "invalid_event", None),
        ("[1]", "invalid_event", None),
        ("{}", "missing_required_parameter", "type"),
        ('{"type": "session.delete"}', "invalid_value", "type"),
        ('{"type": 1}', "invalid_type", "type"),
        ('{"type": "response.cancel", "why": 1}', "unknown_parameter", "why"),
        ('{"type": "conversation.item.delete"}', "missing_required_parameter", "item_id"),
        ('{"type": "output_audio_buffer.clear"}', "invalid_value", "type"),
    ],
)
def test_a_message_that_is_no_event_gets_an_error_and_the_session_goes_on(
    session: PureSession, message: str, code: str, param: str | None
) -> None:
    error = error_of(session.take(session.session.receive(message, 0.0)))
    assert (error["code"], error["param"]) == (code, param)
    assert session.configure()["type"] == "session.updated"


def test_old_audio_is_forgotten_before_it_fills_the_memory(
    session: PureSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.local.conversation.KEPT_AUDIO_BYTES", 60_000)
    first = answered(session)
    second = answered(session)
    session.type_message("more")
    sizes = [
        len(session.send("conversation.item.retrieve", item_id=item_id)[0]["item"]["content"][0]["audio"])
        for item_id in (first, second)
    ]
    assert sizes == [0, 64_000]
