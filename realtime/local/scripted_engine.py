"""The scripted mode: hears and says what the script tells, with cheap exact audio. No models, no clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import numpy as np

from realtime.local.audio_formats import PCM, AudioFormat
from realtime.local.effects import AnswerRequest, Transcribe
from realtime.local.engine import Call, Fail, Heard, Incomplete, Piece, Say, Sound
from realtime.local.script import Script, ScriptedTurn, scripted_pcm
from realtime.local.turns import Frame
from realtime.local.vad import EnergyVad


class HearingFailed(Exception):
    """The script wants the transcription of this turn to fail; the text is the message to send."""


class ScriptedEngines:
    """All connections read the same script, each from its first turn."""

    def __init__(self, script: Script, *, delta_ms: int, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._script, self._delta_ms, self._sleep = script, delta_ms, sleep

    def connect(self) -> ScriptedEngine:
        return ScriptedEngine(self._script, self._delta_ms, self._sleep)

    def close(self) -> None:
        """Holds nothing that would have to be let go."""


class ScriptedEngine:
    """One connection's engine. Transcripts wait for the answer when the turn says so, as they do in real life."""

    speculate = False
    partials = False
    wait_for_transcript = False

    def __init__(self, script: Script, delta_ms: int, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._script, self._delta_ms, self._sleep = script, delta_ms, sleep
        self._vad = EnergyVad()
        self._fed_ms = 0.0
        self._under_way: dict[int, asyncio.Event] = {}  # by turn: the first piece of its answer went out
        self._over: dict[int, asyncio.Event] = {}  # by turn: its answer is complete or was cancelled

    async def listen(self, audio: bytes, format: AudioFormat) -> list[Frame]:
        self._fed_ms += format.duration_ms(audio)
        return self._vad.feed(audio, format)

    def forget(self) -> None:
        self._vad.forget(self._fed_ms)

    async def transcribe(self, work: Transcribe) -> Heard:
        turn = self._script.turn(work.turn_index)
        if work.kind == "final" and work.expects_answer and turn.heard_at != "before":
            await self._event(
                self._over if turn.heard_at == "after" else self._under_way, work.turn_index
            ).wait()
        if turn.hearing_fails is not None:
            raise HearingFailed(turn.hearing_fails)
        if turn.sure is None:
            return Heard(turn.hears)
        words = (f" {word}" if place else word for place, word in enumerate(turn.hears.split()))
        return Heard(turn.hears, tuple((word.encode(), math.log(turn.sure)) for word in words))

    async def answer(self, request: AnswerRequest) -> AsyncIterator[Piece]:
        turn = self._script.turn(request.turn_index)
        if turn.heard_at == "before":
            # The transcript of this turn was asked for in the same step and needs one turn of the loop.
            await asyncio.sleep(0)
        if turn.delay_ms:
            await self._sleep(turn.delay_ms / 1000)
        for piece in self._pieces(turn, request):
            yield piece
            if isinstance(piece, Sound) or not request.speaks:
                self._event(self._under_way, request.turn_index).set()

    def answer_over(self, request: AnswerRequest) -> None:
        self._event(self._under_way, request.turn_index).set()
        self._event(self._over, request.turn_index).set()

    def _pieces(self, turn: ScriptedTurn, request: AnswerRequest) -> Iterator[Piece]:
        if turn.fails is not None:
            blank = {
                "type": "server_error",
                "code": "server_error",
                "message": "The script lets this answer fail.",
            }
            yield Fail(**{**blank, **turn.fails})
            return
        after_tool = request.prompted_by == "tool_output"
        text = turn.then if after_tool else turn.says
        phase = "commentary" if turn.tools and not after_tool else "final_answer"
        if text:
            yield Say(text, phase)
            if request.speaks:
                total = turn.audio_length_ms(text)
                for start_ms in range(0, total, self._delta_ms):
                    yield Sound(self._sound(request, start_ms, min(self._delta_ms, total - start_ms)))
        if not after_tool:
            for name, arguments in turn.tools:
                yield Call(name, arguments)
        if turn.incomplete is not None:
            yield Incomplete(turn.incomplete)

    def _sound(self, request: AnswerRequest, start_ms: int, length_ms: int) -> bytes:
        format, per_ms = request.format, request.format.rate_hz // 1000
        pcm = scripted_pcm(request.turn_index, start_ms * per_ms, length_ms * per_ms, format.rate_hz)
        return pcm if format == PCM else format.encode(np.frombuffer(pcm, "<i2").astype(np.float32) / 32767.0)

    @staticmethod
    def _event(events: dict[int, asyncio.Event], turn_index: int) -> asyncio.Event:
        return events.setdefault(turn_index, asyncio.Event())
