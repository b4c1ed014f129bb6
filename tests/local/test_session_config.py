"""Session updates: what they change, what they must not, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.pure_session import PureSession, error_of


def test_an_update_changes_only_what_it_names(session: PureSession) -> None:
    session.configure(audio={"input": {"transcription": {"model": "gpt-transcribe"}}})
    updated = session.configure(instructions="Be brief.", audio={"output": {"speed": 1.2}})["session"]
    assert updated["instructions"] == "Be brief."
    assert updated["audio"]["input"]["transcription"] == {
        "model": "gpt-transcribe",
        "language": None,
        "prompt": None,
    }
    assert updated["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.2,
    }


def test_turn_detection_is_completed_with_its_defaults(session: PureSession) -> None:
    block = {"type": "server_vad", "silence_duration_ms": 200}
    updated = session.configure(audio={"input": {"turn_detection": block}})["session"]
    assert updated["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_null_switches_turn_detection_and_transcription_off(session: PureSession) -> None:
    session.configure(audio={"input": {"transcription": {"model": "gpt-transcribe"}}})
    updated = session.configure(audio={"input": {"turn_detection": None, "transcription": None}})["session"]
    assert updated["audio"]["input"]["turn_detection"] is None
    assert updated["audio"]["input"]["transcription"] is None


def test_empty_instructions_and_tools_clear(session: PureSession) -> None:
    session.configure(tools=[{"type": "function", "name": "a"}], instructions="x")
    updated = session.configure(tools=[], instructions="")["session"]
    assert (updated["tools"], updated["instructions"]) == ([], "")


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "voice": "marin"}, "unknown_parameter", "session.voice"),
        (
            {"type": "realtime", "audio": {"input": {"vad": 1}}},
            "unknown_parameter",
            "session.audio.input.vad",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm"}}}},
            "missing_required_parameter",
            "session.audio.input.format.rate",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": None}}},
            },
            "invalid_type",
            "session.audio.input.turn_detection.create_response",
        ),
        (
            {"type": "realtime", "output_modalities": ["audio", "text"]},
            "invalid_value",
            "session.output_modalities",
        ),
        (
            {"type": "realtime", "audio": {"output": {"speed": 2}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
        (
            {"type": "realtime", "audio": {"output": {"voice": "robot"}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
        ({"type": "realtime", "model": "gpt-realtime-mini"}, "invalid_value", "session.model"),
        ({"type": "realtime", "max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
        (
            {"type": "realtime", "tools": [{"type": "function"}]},
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ("hello", "invalid_type", "session"),
    ],
)
def test_a_refused_update_names_the_field_and_applies_nothing(
    session: PureSession, update: Any, code: str, param: str
) -> None:
    before = session.configure()["session"]
    if isinstance(update, dict):
        update = {"instructions": "must not be applied", **update}
    error = error_of(session.send("session.update", session=update, event_id="mine"))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    assert session.configure()["session"] == before


def test_the_voice_is_fixed_once_it_was_heard(session: PureSession) -> None:
    session.type_message("hello")
    session.send("response.create")
    session.say("Hello.", audio_ms=200)
    session.finish()
    other = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    assert error_of(session.send("session.update", session=other))["code"] == "cannot_update_voice"
    same = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    assert session.send("session.update", session=same)[0]["type"] == "session.updated"


def test_session_created_tells_when_it_expires() -> None:
    created = PureSession(max_session_ms=600_000).effects[0].event["session"]  # type: ignore[union-attr]
    assert created["expires_at"] == 1_600
    assert created["id"].startswith("sess_")


def test_a_tool_server_is_said_to_be_out_of_reach(session: PureSession) -> None:
    tools = [{"type": "mcp", "server_label": "shop", "server_url": "https://example.com/mcp"}]
    events = session.send("session.update", session={"type": "realtime", "tools": tools})
    assert [event["type"] for event in events] == [
        "session.updated",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.failed",
    ]
