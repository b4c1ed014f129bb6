"""Items as clients may create them: validation and the form in which events show them. Pure."""

from __future__ import annotations

import copy
from typing import Any

from realtime.local import rules
from realtime.local.audio_formats import AudioFormat
from realtime.local.conversation import Item
from realtime.local.errors import ProtocolError
from realtime.local.ids import Ids

_common = {
    "id": rules.text(64),
    "type": rules.text(),
    "object": rules.choice("realtime.item"),
    "status": rules.choice("completed", "incomplete", "in_progress"),
}
_input_text = rules.record({"type": rules.text(), "text": rules.text()}, ("text",))
_CONTENT = {
    "user": rules.tagged(
        {
            "input_text": _input_text,
            "input_audio": rules.record(
                {"type": rules.text(), "audio": rules.text(), "transcript": rules.nullable(rules.text())},
                ("audio",),
            ),
            "input_image": rules.record(
                {
                    "type": rules.text(),
                    "image_url": rules.text(),
                    "detail": rules.choice("auto", "low", "high"),
                },
                ("image_url",),
            ),
        }
    ),
    "system": rules.tagged({"input_text": _input_text}),
    # Replayed answers are text; the provider refuses a transcript or audio here, so that sent audio stays its own.
    "assistant": rules.tagged(
        {
            name: rules.record(
                {
                    "type": rules.text(),
                    "text": rules.text(),
                    "audio": rules.anything,
                    "transcript": rules.anything,
                },
                ("text",),
            )
            for name in ("output_text", "output_audio")
        }
    ),
}


def _message(value: Any, path: str) -> None:
    rules.record(
        {**_common, "role": rules.choice(*_CONTENT), "content": rules.anything, "phase": rules.text()},
        ("role", "content"),
    )(value, path)
    rules.list_of(_CONTENT[value["role"]])(value["content"], f"{path}.content")
    if not value["content"]:
        raise rules.bad_value(f"{path}.content", "expected at least one part.")
    for index, part in enumerate(value["content"]):
        if part["type"] == "output_audio":
            raise ProtocolError(
                "invalid_value",
                "Assistant messages can be created with 'output_text' content only.",
                f"{path}.content[{index}].type",
            )


def _no_mcp(value: Any, path: str) -> None:
    raise ProtocolError(
        "invalid_value", "This local server runs no MCP tools, so nothing awaits an approval.", path
    )


_call_id = rules.text(32)
_item = rules.tagged(
    {
        "message": _message,
        "function_call": rules.record(
            {**_common, "name": rules.text(), "arguments": rules.text(), "call_id": _call_id},
            ("name", "arguments"),
        ),
        "function_call_output": rules.record(
            {**_common, "call_id": _call_id, "output": rules.text()}, ("call_id", "output")
        ),
        "mcp_approval_response": _no_mcp,
    }
)


def item_from_client(value: Any, path: str, ids: Ids, input_format: AudioFormat) -> Item:
    """Check a client's item and make ours of it: completed, with an id, its audio taken out of the wire form."""
    _item(value, path)
    wire = copy.deepcopy(value)
    wire.pop("object", None)
    wire = {
        "id": wire.pop("id", None) or ids.new("item"),
        "type": wire.pop("type"),
        "status": "completed",
        **wire,
    }
    wire["status"] = "completed"
    if wire["type"] == "function_call":
        wire.setdefault("call_id", ids.new("call"))
    item = Item(wire, format=input_format)
    for index, part in enumerate(wire.get("content", ())):
        if part["type"] == "input_audio":
            item.audio += rules.decode_base64(
                part.pop("audio"), f"{path}.content[{index}].audio", input_format.sample_bytes
            )
            item.heard = part.setdefault("transcript", None)
    return item
