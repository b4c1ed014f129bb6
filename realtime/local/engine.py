"""What a connection needs from whatever listens, recognises and answers; the two engines are in files of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from realtime.local.audio_formats import AudioFormat
from realtime.local.effects import AnswerRequest, Transcribe
from realtime.local.turns import Frame


@dataclass(frozen=True, slots=True)
class Say:
    """Text of the answer. `phase` is `commentary` for what is said before a function call.

    A piece is a sentence or more and is set off from the one before, unless it is `glued`: then it just continues.
    """

    text: str
    phase: str = "final_answer"
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Sound:
    """Audio of the answer, in the format of the request."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The answer cannot be (further) made; `response.done` will say `failed` with these."""

    type: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The answer ends early: `max_output_tokens` or `content_filter`."""

    reason: str


Piece = Say | Sound | Call | Fail | Incomplete


@dataclass(frozen=True, slots=True)
class Heard:
    """Recognised words. `tokens`: the bytes of each piece of them and its log probability; empty when nobody knows."""

    text: str
    tokens: tuple[tuple[bytes, float], ...] = ()


class Engine(Protocol):
    """One per connection; models behind it are shared."""

    speculate: bool
    partials: bool
    wait_for_transcript: bool

    async def listen(self, audio: bytes, format: AudioFormat) -> list[Frame]:
        """Score the next audio of the input; keeps what does not fill a frame for the next call."""

    def forget(self) -> None:
        """The input was cleared; positions go on."""

    async def transcribe(self, work: Transcribe) -> Heard:
        """Words of some audio; may raise `Overloaded`."""

    def answer(self, request: AnswerRequest) -> AsyncIterator[Piece]:
        """The pieces of an answer in order; may raise `Overloaded`. Closed when the response is cancelled."""

    def answer_over(self, request: AnswerRequest) -> None:
        """The answer is complete or was cancelled, perhaps before its first piece was asked for."""


class Engines(Protocol):
    """The shared part: makes one engine per connection and lets go of its threads at the end."""

    def connect(self) -> Engine: ...

    def close(self) -> None: ...
