"""The upstream conversation: items in order, their text and audio, and what an answer may know of them. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from realtime.local.audio_formats import PCM, AudioFormat
from realtime.local.effects import Line
from realtime.local.errors import ProtocolError

KEPT_AUDIO_BYTES = 64 * 1024 * 1024  # older audio is forgotten; its item and text stay
USER_AUDIO_TOKEN_MS, ASSISTANT_AUDIO_TOKEN_MS = 100, 50


def text_tokens(text: str) -> int:
    """About four characters a token; never 0 for text that is there."""
    return (len(text) + 3) // 4


@dataclass(slots=True)
class Item:
    """One item. `wire` is what events show, without audio; the rest stays on this side."""

    wire: dict[str, Any]
    audio: bytes = b""
    format: AudioFormat = PCM
    heard: str | None = None  # recognised text of user audio; None until it is known
    turn_index: int = -1
    truncated: bool = False
    sentences: list[tuple[str, int]] = field(
        default_factory=list
    )  # assistant speech: text and where its audio ends, in bytes

    @property
    def id(self) -> str:
        return self.wire["id"]

    @property
    def is_audio(self) -> bool:
        return any(part["type"] in ("input_audio", "output_audio") for part in self.wire.get("content", ()))

    def audio_tokens(self) -> int:
        step = ASSISTANT_AUDIO_TOKEN_MS if self.wire.get("role") == "assistant" else USER_AUDIO_TOKEN_MS
        return -(-int(self.format.duration_ms(self.audio)) // step)

    def line(self) -> Line | None:
        """The item as an entry of the context of an answer; None when it says nothing."""
        kind = self.wire["type"]
        if kind == "function_call":
            return Line("tool_call", self.wire["arguments"], self.wire["name"], self.wire["call_id"])
        if kind == "function_call_output":
            return Line("tool_output", self.wire["output"], call_id=self.wire["call_id"])
        if kind != "message":
            return None
        content = self.wire["content"]
        if self.truncated:
            text = " ".join(sentence for sentence, end in self.sentences if end <= len(self.audio))
        elif self.wire["role"] == "user" and self.is_audio and self.heard is not None:
            text = self.heard
        else:
            text = " ".join(part.get("text") or part.get("transcript") or "" for part in content).strip()
        image = any(part["type"] == "input_image" for part in content)
        return Line(self.wire["role"], text, spoken=self.is_audio, has_image=image)

    def with_audio(self) -> dict[str, Any]:
        """For `conversation.item.retrieved`: the wire form with base64 audio in its audio part."""
        wire = {**self.wire}
        if "content" in wire:
            encoded = base64.b64encode(self.audio).decode()
            wire["content"] = [
                {**part, "audio": encoded} if part["type"] in ("input_audio", "output_audio") else dict(part)
                for part in wire["content"]
            ]
        return wire


class Conversation:
    """Items by id and order. `user_turns` counts the user's messages ever added, deleted ones too."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._order: list[str] = []
        self.user_turns = 0

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Append, or insert after an item (`"root"`: at the front); returns the id before it."""
        if item.id in self._items:
            raise ProtocolError(
                "invalid_value", "An item with this id already exists in the conversation.", "item.id"
            )
        if after == "root":
            place = 0
        elif after is None:
            place = len(self._order)
        elif after in self._items:
            place = self._order.index(after) + 1
        else:
            raise ProtocolError(
                "invalid_value", "The previous item was not found in the conversation.", "previous_item_id"
            )
        self._items[item.id] = item
        self._order.insert(place, item.id)
        if item.wire.get("role") == "user":
            item.turn_index = self.user_turns
            self.user_turns += 1
        self._forget_old_audio()
        return self._order[place - 1] if place else None

    def delete(self, item_id: str) -> None:
        if item_id not in self._items:
            raise ProtocolError(
                "item_delete_invalid_item_id",
                "The item to delete was not found in the conversation.",
                "item_id",
            )
        del self._items[item_id]
        self._order.remove(item_id)

    def retrieve(self, item_id: str) -> Item:
        if item_id not in self._items:
            raise ProtocolError(
                "item_retrieve_invalid_item_id",
                "The item to retrieve was not found in the conversation.",
                "item_id",
            )
        return self._items[item_id]

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> Item:
        """Cut assistant audio to `audio_end_ms` and remove its transcript, which would say more than was heard."""
        item = self._items.get(item_id)
        if item is None:
            raise ProtocolError(
                "item_truncate_invalid_item_id",
                "The item to truncate was not found in the conversation.",
                "item_id",
            )
        content = item.wire.get("content", ())
        is_speech = item.wire.get("role") == "assistant" and content_index < len(content)
        if not is_speech or content[content_index]["type"] != "output_audio":
            raise ProtocolError(
                "unsupported_content_type",
                "Only model output audio messages can be truncated",
                "content_index",
            )
        length_ms = int(item.format.duration_ms(item.audio))
        if audio_end_ms > length_ms:
            raise ProtocolError(
                "invalid_value",
                f"Audio content of {length_ms}ms is already shorter than {audio_end_ms}ms",
                "audio_end_ms",
            )
        item.audio = item.audio[: audio_end_ms * item.format.bytes_per_ms]
        item.truncated = True
        content[content_index].pop("transcript", None)
        return item

    def lines(self) -> tuple[Line, ...]:
        """The context of an answer. Speech without words stays, or the turn before would be answered again."""
        lines = (line for item in self if (line := item.line()) is not None)
        return tuple(line for line in lines if line.text or line.has_image or line.role == "user")

    def waiting_for_text(self) -> Item | None:
        """The newest user audio that is not recognised yet, if it is the last thing said."""
        for item in reversed(list(self)):
            if item.wire.get("role") == "user":
                return item if item.is_audio and item.heard is None else None
        return None

    def tokens(self) -> tuple[int, int]:
        """Text and audio tokens of the whole conversation, as the next answer's input."""
        text = audio = 0
        for item in self:
            if item.is_audio:
                audio += item.audio_tokens()
            elif (line := item.line()) is not None:
                text += text_tokens(line.text)
        return text, audio

    def _forget_old_audio(self) -> None:
        kept = 0
        for item in reversed(list(self)):
            kept += len(item.audio)
            if kept > KEPT_AUDIO_BYTES:
                item.audio = b""
