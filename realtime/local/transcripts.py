"""The text of a person's speech as it becomes known: steady partial text, final text, their events. Pure."""

from __future__ import annotations

import re
from typing import Any

from realtime.local.conversation import USER_AUDIO_TOKEN_MS, Item, text_tokens
from realtime.local.engine import Heard
from realtime.local.shared import Shared

_PREFIX = "conversation.item.input_audio_transcription"
_BY_DURATION = ("whisper-1", "gpt-realtime-whisper")  # transcription models whose use is billed in seconds


class Draft:
    """The part of a growing transcript that two recognitions in a row agree on, so that nothing sent is taken back."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self._sent: list[str] = []

    def agree(self, text: str) -> str:
        """Take the newest partial text; returns what may be sent now, perhaps nothing."""
        words = text.split()
        steady = 0
        # The last word of a partial text is often half a word: never send it.
        while steady < min(len(words), len(self._last)) - 1 and _plain(words[steady]) == _plain(
            self._last[steady]
        ):
            steady += 1
        self._last = words
        return self._send(words[:steady])

    def rest(self, text: str) -> str:
        """What the final text adds to what was sent; nothing when it says something else."""
        return self._send(text.split())

    def _send(self, words: list[str]) -> str:
        already = len(self._sent)
        if len(words) <= already or [_plain(word) for word in words[:already]] != [
            _plain(word) for word in self._sent
        ]:
            return ""
        fresh, self._sent = words[already:], words
        return (" " if already else "") + " ".join(fresh)


class Transcripts:
    """Sends transcription events when the session asks for them; without, the text is kept for the answer only."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._drafts: dict[str, Draft] = {}

    def partial(self, item_id: str, text: str) -> None:
        if self._shared.transcription is not None:
            self._delta(item_id, self._drafts.setdefault(item_id, Draft()).agree(text))

    def forget(self, item_id: str) -> None:
        self._drafts.pop(item_id, None)

    def completed(self, item: Item, heard: Heard) -> None:
        item.heard = text = heard.text
        draft = self._drafts.pop(item.id, None) or Draft()
        model = self._shared.transcription
        if model is None or item.id not in self._shared.conversation:
            return
        for part in item.wire["content"]:
            if part["type"] == "input_audio":
                part["transcript"] = text
        self._delta(item.id, draft.rest(text))
        self._shared.outbox.emit(
            f"{_PREFIX}.completed",
            item_id=item.id,
            content_index=0,
            transcript=text,
            usage=_usage(item, text, model),
            **({"logprobs": _logprobs(heard)} if heard.tokens and self._shared.config["include"] else {}),
        )

    def failed(self, item: Item, code: str, message: str) -> None:
        item.heard = ""
        self.forget(item.id)
        if self._shared.transcription is not None and item.id in self._shared.conversation:
            error = {"type": "transcription_error", "code": code, "message": message}
            self._shared.outbox.emit(f"{_PREFIX}.failed", item_id=item.id, content_index=0, error=error)

    def _delta(self, item_id: str, text: str) -> None:
        if text:
            padding = self._shared.ids.padding()
            self._shared.outbox.emit(
                f"{_PREFIX}.delta", item_id=item_id, content_index=0, delta=text, obfuscation=padding
            )


def _logprobs(heard: Heard) -> list[dict[str, Any]]:
    return [
        {"token": piece.decode("utf-8", "replace"), "bytes": list(piece), "logprob": round(logprob, 4)}
        for piece, logprob in heard.tokens
    ]


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).lower()


def _usage(item: Item, text: str, transcription: dict[str, Any]) -> dict[str, Any]:
    audio_ms = item.format.duration_ms(item.audio)
    if transcription["model"] in _BY_DURATION:
        return {"type": "duration", "seconds": round(audio_ms / 1000, 2)}
    audio, output = -(-int(audio_ms) // USER_AUDIO_TOKEN_MS), text_tokens(text)
    return {
        "type": "tokens",
        "total_tokens": audio + output,
        "input_tokens": audio,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
        "output_tokens": output,
    }
