"""One response: its output items, the events of its life and its usage. Knows no other response and no input."""

from __future__ import annotations

import base64
import copy
import re
import sys
from typing import Any

from realtime.local.conversation import ASSISTANT_AUDIO_TOKEN_MS, Item, text_tokens
from realtime.local.effects import AnswerRequest
from realtime.local.shared import Shared

_DELTA = re.compile(r"\s*(?:\S+\s*){1,3}")  # text goes out three words at a time


class Response:
    """From `response.created` to `response.done`. Every method emits what the wire shows at that point.

    `waiting_for` is the id of the user's item whose text the answer needs before it can be made.
    """

    def __init__(
        self,
        shared: Shared,
        request: AnswerRequest,
        *,
        in_conversation: bool,
        max_output_tokens: int | str,
        input_tokens: tuple[int, int],
        cached_tokens: int,
        output_format: dict[str, Any],
        metadata: dict[str, str] | None,
        from_conversation: bool = True,
    ) -> None:
        self._shared = shared
        self.request = request
        self.id = request.response_id
        self.in_conversation = in_conversation
        self.from_conversation = from_conversation  # its input is the conversation, not items of its own
        self.waiting_for: str | None = None
        self.started = False  # handed over to the responder
        self.active = True
        self._max_output_tokens = max_output_tokens
        self._input_tokens, self._cached_tokens = input_tokens, cached_tokens
        self._output_format, self._metadata = output_format, metadata
        self._items: list[Item] = []
        self._message: Item | None = None
        self._text = ""
        self._deltas = 0
        self._emit("response.created", response=self.wire("in_progress"))

    @property
    def audio_ms(self) -> float:
        return sum(self.request.format.duration_ms(item.audio) for item in self._items)

    @property
    def is_over_limit(self) -> bool:
        limit = self._max_output_tokens
        return isinstance(limit, int) and sum(self._output_tokens()) >= limit

    def wire(self, status: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        """The response object. Usage only when it is over, as on the provider's wire."""
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [copy.deepcopy(item.wire) for item in self._items] if status != "in_progress" else [],
            "conversation_id": self._shared.conversation_id if self.in_conversation else None,
            "output_modalities": ["audio" if self.request.speaks else "text"],
            "max_output_tokens": self._max_output_tokens,
            "audio": {"output": {"format": self._output_format, "voice": self.request.voice}},
            "usage": None if status == "in_progress" else self.usage(),
            "metadata": self._metadata,
        }

    def usage(self) -> dict[str, Any]:
        text_in, audio_in = self._input_tokens
        text_out, audio_out = self._output_tokens()
        cached = min(self._cached_tokens, text_in + audio_in)
        cached_text = min(cached, text_in)
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": cached,
                "cached_tokens_details": {
                    "text_tokens": cached_text,
                    "audio_tokens": cached - cached_text,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {
                "text_tokens": text_out,
                "audio_tokens": audio_out,
                "reasoning_tokens": 0,
            },
        }

    def add_text(self, text: str, phase: str = "final_answer", glued: bool = False) -> None:
        """More of the answer: text deltas, or transcript deltas that run ahead of the audio. Sentences are set apart
        by a space; what is `glued` continues the text as it stands."""
        if self._message is not None and self._message.wire["phase"] != phase:
            self._close_message("completed")
        message = self._message or self._open_message(phase)
        if not glued and self._text and not self._text[-1].isspace() and not text[:1].isspace():
            text = " " + text
        for delta in _DELTA.findall(text) or [text]:
            self._emit_part(
                "output_audio_transcript.delta" if self.request.speaks else "output_text.delta",
                delta=delta,
                obfuscation=self._shared.ids.padding(),
            )
        self._text += text
        message.sentences.append((text.strip(), sys.maxsize))

    def add_audio(self, audio: bytes) -> None:
        """Bytes in the response's own format."""
        message = self._message or self._open_message("final_answer")
        message.audio += audio
        if message.sentences:
            message.sentences[-1] = (message.sentences[-1][0], len(message.audio))
        self._emit_part("output_audio.delta", delta=base64.b64encode(audio).decode())

    def add_call(self, name: str, arguments: str) -> None:
        """A complete function call; an open message is finished first."""
        self._close_message("completed")
        ids, call_id = self._shared.ids, self._shared.ids.new("call")
        item = Item(
            {
                "id": ids.new("item"),
                "type": "function_call",
                "status": "in_progress",
                "name": name,
                "call_id": call_id,
                "arguments": "",
            }
        )
        self._open_item(item)
        place = {"item_id": item.id, "output_index": len(self._items) - 1, "call_id": call_id}
        for start in range(0, len(arguments), 16):
            self._emit_here(
                "function_call_arguments.delta",
                **place,
                delta=arguments[start : start + 16],
                obfuscation=ids.padding(),
            )
        self._emit_here("function_call_arguments.done", **place, name=name, arguments=arguments)
        item.wire |= {"arguments": arguments, "status": "completed"}
        self._close_item(item)

    def finish(self, status: str, details: dict[str, Any] | None = None) -> None:
        """Close what is open and send `response.done`; an interrupted message keeps what was made of it."""
        self._close_message("completed" if status == "completed" else "incomplete")
        self.active = False
        self._emit("response.done", response=self.wire(status, details))

    def _open_message(self, phase: str) -> Item:
        item = Item(
            {
                "id": self._shared.ids.new("item"),
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "phase": phase,
                "content": [],
            },
            format=self.request.format,
        )
        self._open_item(item)
        self._message, self._text = item, ""
        self._emit_part("content_part.added", part=self._part(""))
        item.wire["content"] = [self._content()]
        return item

    def _open_item(self, item: Item) -> None:
        self._items.append(item)
        self._emit_here("output_item.added", output_index=len(self._items) - 1, item=copy.deepcopy(item.wire))
        if self.in_conversation:
            previous = self._shared.conversation.add(item)
            self._emit("conversation.item.added", previous_item_id=previous, item=copy.deepcopy(item.wire))

    def _close_message(self, status: str) -> None:
        message, text = self._message, self._text
        if message is None:
            return
        message.wire["status"] = status
        if not message.truncated:
            message.wire["content"] = [self._content()]
        if self.request.speaks:
            self._emit_part("output_audio.done")
            self._emit_part("output_audio_transcript.done", transcript=text)
        else:
            self._emit_part("output_text.done", text=text)
        self._emit_part("content_part.done", part=self._part(text))
        self._message = None
        self._close_item(message)

    def _close_item(self, item: Item) -> None:
        if self.in_conversation and item.id in self._shared.conversation:
            self._emit("conversation.item.done", previous_item_id=None, item=copy.deepcopy(item.wire))
        self._emit_here(
            "output_item.done", output_index=self._items.index(item), item=copy.deepcopy(item.wire)
        )

    def _part(self, text: str) -> dict[str, str]:
        """Parts are called `audio` and `text` in events, `output_audio` and `output_text` in items."""
        return (
            {"type": "audio", "transcript": text} if self.request.speaks else {"type": "text", "text": text}
        )

    def _content(self) -> dict[str, str]:
        if self.request.speaks:
            return {"type": "output_audio", "transcript": self._text}
        return {"type": "output_text", "text": self._text}

    def _output_tokens(self) -> tuple[int, int]:
        text = audio = 0
        for item in self._items:
            if item.wire["type"] == "function_call":
                text += text_tokens(item.wire["name"] + item.wire["arguments"])
            elif item is self._message:
                text += text_tokens(self._text)
            else:
                text += sum(
                    text_tokens(part.get("transcript") or part.get("text") or "")
                    for part in item.wire["content"]
                )
            audio += -(-int(item.format.duration_ms(item.audio)) // ASSISTANT_AUDIO_TOKEN_MS)
        return text, audio

    def _emit(self, type: str, **fields: Any) -> None:
        self._shared.outbox.emit(type, **fields)

    def _emit_here(self, type: str, **fields: Any) -> None:
        self._emit(f"response.{type}", response_id=self.id, **fields)

    def _emit_part(self, type: str, **fields: Any) -> None:
        assert self._message is not None
        self._emit_here(
            type,
            item_id=self._message.id,
            output_index=self._items.index(self._message),
            content_index=0,
            **fields,
        )
