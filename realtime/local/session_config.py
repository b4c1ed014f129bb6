"""The `session` object: its defaults, what an update may contain, and how an update is applied. Pure."""

from __future__ import annotations

import copy
from typing import Any

from realtime.local import rules
from realtime.local.audio_formats import FORMATS, AudioFormat
from realtime.local.errors import ProtocolError

Session = dict[str, Any]

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
DEFAULT_MODEL = "gpt-realtime-2.1"
_MODEL_FAMILIES = ("gpt-realtime", "gpt-4o-realtime", "gpt-4o-mini-realtime", "gpt-audio", "local")
DEFAULT_INSTRUCTIONS = (
    "You are a helpful, friendly assistant. Speak in short, clear sentences. "
    "Say so when you do not know something."
)

_SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_PCM = {"type": "audio/pcm", "rate": 24_000}

_format = rules.tagged(
    {
        "audio/pcm": rules.record(
            {"type": rules.text(), "rate": rules.number(24_000, 24_000, whole=True)}, ("rate",)
        ),
        "audio/pcmu": rules.record({"type": rules.text()}),
        "audio/pcma": rules.record({"type": rules.text()}),
    }
)
_transcription = rules.record(
    {
        "model": rules.text(),
        "language": rules.nullable(rules.text()),
        "prompt": rules.nullable(rules.text()),
        "languages": rules.list_of(rules.text()),
        "keywords": rules.list_of(rules.text()),
        "delay": rules.choice("minimal", "low", "medium", "high", "xhigh"),
    }
)
_noise_reduction = rules.record(
    {"type": rules.choice("near_field", "far_field"), "strength": rules.number(0, 1)}, ("type",)
)
_turn_detection = rules.tagged(
    {
        "server_vad": rules.record(
            {
                "type": rules.text(),
                "threshold": rules.number(0, 1),
                "prefix_padding_ms": rules.number(0, 10_000, whole=True),
                "silence_duration_ms": rules.number(0, 10_000, whole=True),
                "idle_timeout_ms": rules.nullable(rules.number(5_000, 30_000, whole=True)),
                "create_response": rules.boolean,
                "interrupt_response": rules.boolean,
            }
        ),
        "semantic_vad": rules.record(
            {
                "type": rules.text(),
                "eagerness": rules.choice("low", "medium", "high", "auto"),
                "create_response": rules.boolean,
                "interrupt_response": rules.boolean,
            }
        ),
    }
)
voice_rule = rules.either(
    "a string or an object with an id", rules.choice(*VOICES), rules.record({"id": rules.text()}, ("id",))
)
output_format_rule = _format
tools_rule = rules.list_of(
    rules.tagged(
        {
            "function": rules.record(
                {
                    "type": rules.text(),
                    "name": rules.text(64),
                    "description": rules.nullable(rules.text()),
                    "parameters": rules.nullable(rules.record({}, open=True)),
                    # Sent by SDKs that share their tool type with other APIs; it changes nothing here.
                    "strict": rules.nullable(rules.boolean),
                },
                ("name",),
            ),
            "mcp": rules.record({"server_label": rules.text()}, ("server_label",), open=True),
        }
    )
)
tool_choice_rule = rules.either(
    "a string or an object",
    rules.choice("auto", "none", "required"),
    rules.tagged(
        {
            "function": rules.record({"type": rules.text(), "name": rules.text()}, ("name",)),
            "mcp": rules.record({"server_label": rules.text()}, ("server_label",), open=True),
        }
    ),
)
max_output_tokens_rule = rules.either(
    "an integer or 'inf'", rules.choice("inf"), rules.number(1, 4_096, whole=True)
)
output_modalities_rule = rules.list_of(rules.choice("text", "audio"))
reasoning_rule = rules.record({"effort": rules.choice("minimal", "low", "medium", "high", "xhigh")})

_input = {
    "format": _format,
    "transcription": rules.nullable(_transcription),
    "noise_reduction": rules.nullable(_noise_reduction),
    "turn_detection": rules.nullable(_turn_detection),
}
_include = rules.nullable(rules.list_of(rules.choice("item.input_audio_transcription.logprobs")))
_REALTIME = rules.record(
    {
        "type": rules.choice("realtime"),
        "model": rules.text(),
        "output_modalities": output_modalities_rule,
        "instructions": rules.text(),
        "max_output_tokens": max_output_tokens_rule,
        "tools": tools_rule,
        "tool_choice": tool_choice_rule,
        "parallel_tool_calls": rules.boolean,
        "reasoning": reasoning_rule,
        "prompt": rules.nullable(rules.record({"id": rules.text()}, ("id",), open=True)),
        "tracing": rules.nullable(
            rules.either(
                "a string or an object",
                rules.choice("auto"),
                rules.record(
                    {"workflow_name": rules.text(), "group_id": rules.text(), "metadata": rules.anything}
                ),
            )
        ),
        "truncation": rules.either(
            "a string or an object",
            rules.choice("auto", "disabled"),
            rules.record(
                {
                    "type": rules.choice("retention_ratio"),
                    "retention_ratio": rules.number(0, 1),
                    "token_limits": rules.nullable(rules.record({}, open=True)),
                },
                ("type", "retention_ratio"),
            ),
        ),
        "include": _include,
        "audio": rules.record(
            {
                "input": rules.record(_input),
                "output": rules.record(
                    {"format": _format, "voice": voice_rule, "speed": rules.number(0.25, 1.5)}
                ),
            }
        ),
    },
    ("type",),
)
_TRANSCRIPTION = rules.record(
    {
        "type": rules.choice("transcription"),
        "include": _include,
        "audio": rules.record({"input": rules.record(_input)}),
    },
    ("type",),
)


def default_session(
    *, id: str, model: str = DEFAULT_MODEL, kind: str = "realtime", expires_at: int, silence_ms: int = 500
) -> Session:
    """What `session.created` shows before any update. `expires_at` is in seconds since the epoch."""
    audio_input = {
        "format": dict(_PCM),
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": {**_SERVER_VAD, "silence_duration_ms": silence_ms},
    }
    head = {
        "type": kind,
        "object": f"realtime.{'transcription_' * (kind == 'transcription')}session",
        "id": id,
    }
    if kind == "transcription":
        return {**head, "expires_at": expires_at, "include": None, "audio": {"input": audio_input}}
    return {
        **head,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "reasoning": {"effort": "low"},
        "expires_at": expires_at,
        "audio": {
            "input": audio_input,
            "output": {"format": dict(_PCM), "voice": "marin", "speed": 1.0},
        },
        "include": None,
    }


def check_model(model: str) -> None:
    if not model.startswith(_MODEL_FAMILIES):
        raise ProtocolError(
            "invalid_model", "The requested model is not supported in realtime mode.", "model"
        )


def updated(current: Session, update: Any, *, audio_was_produced: bool = False) -> Session:
    """A copy of `current` with `update` applied, all of it or (by raising `ProtocolError`) nothing."""
    if not isinstance(update, dict):
        raise rules.wrong_type("session", "an object", update)
    if "type" not in update:
        raise rules.missing("session.type")
    kind = current["type"]
    rules.choice("realtime", "transcription")(update["type"], "session.type")
    if update["type"] != kind:
        raise ProtocolError(
            "invalid_value",
            f"Passing a {update['type']} session update to a {kind} session is not allowed.",
            "session.type",
        )
    (_REALTIME if kind == "realtime" else _TRANSCRIPTION)(update, "session")
    check_modalities(update.get("output_modalities"), "session.output_modalities")
    _check_fixed(current, update, audio_was_produced)
    session = copy.deepcopy(current)
    for name, value in update.items():
        if name not in ("audio", "type", "model"):
            session[name] = copy.deepcopy(value)
    for side, fields in update.get("audio", {}).items():
        for name, value in fields.items():
            session["audio"][side][name] = _completed(name, value)
    return session


def check_modalities(value: list[str] | None, path: str) -> None:
    if value is not None and value not in (["audio"], ["text"]):
        raise ProtocolError(
            "invalid_value",
            "Invalid modalities: supported combinations are: ['text'] and ['audio'].",
            path,
        )


def wire_format(block: dict[str, Any]) -> AudioFormat:
    return FORMATS[block["type"]]


def voice_name(voice: str | dict[str, str]) -> str:
    return voice if isinstance(voice, str) else voice["id"]


def _check_fixed(current: Session, update: Session, audio_was_produced: bool) -> None:
    """What can no longer change: the model ever, the voice once it was heard, tracing once it is on."""
    if "model" in update and update["model"] != current["model"]:
        raise ProtocolError("invalid_value", "The model of a session cannot be changed.", "session.model")
    output = update.get("audio", {}).get("output", {})
    if (
        "voice" in output
        and audio_was_produced
        and voice_name(output["voice"]) != current["audio"]["output"]["voice"]
    ):
        raise ProtocolError(
            "cannot_update_voice",
            "Cannot update a conversation's voice if assistant audio is present.",
            "session.audio.output.voice",
        )
    if "tracing" in update and current.get("tracing") and update["tracing"] != current["tracing"]:
        raise ProtocolError("invalid_value", "Tracing cannot be changed once it is on.", "session.tracing")


def _completed(name: str, value: Any) -> Any:
    """Leaf blocks are replaced as a whole, with the defaults of what they leave out, as the provider echoes them."""
    if name == "turn_detection" and value is not None:
        return {**(_SERVER_VAD if value["type"] == "server_vad" else _SEMANTIC_VAD), **value}
    if name == "transcription" and value is not None:
        return {"model": "gpt-transcribe", "language": None, "prompt": None, **value}
    if name == "voice":
        # The types of `session.updated` allow a string only, also for a voice that was given by its id.
        return voice_name(value)
    return copy.deepcopy(value)
