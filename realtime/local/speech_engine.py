"""The speech mode: real detection, recognition and speech in a few threads, and a responder for what to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from realtime.local import vad
from realtime.local.audio_formats import AudioFormat
from realtime.local.effects import AnswerRequest, Transcribe
from realtime.local.engine import Heard, Piece, Say, Sound
from realtime.local.errors import Overloaded
from realtime.local.options import LocalConfig
from realtime.local.recognizer import RATE_HZ as HEARING_HZ
from realtime.local.recognizer import Recognizer
from realtime.local.responder import Responder, make_responder
from realtime.local.turns import Frame
from realtime.local.voice import RATE_HZ as SPEAKING_HZ
from realtime.local.voice import Voice, speakable

T = TypeVar("T")


class Workers:
    """A few threads with a bounded queue in front. onnxruntime lets go of the interpreter while it computes."""

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="speech")
        self._most = threads + max_waiting
        self._jobs: set[Future[Any]] = set()

    async def run(self, work: Callable[[], T], *, must: bool = True) -> T:
        """Raises `Overloaded` when the queue is full; what need not be done waits for nobody: idle, or not at all."""
        if len(self._jobs) >= (self._most if must else 1):
            raise Overloaded
        job = self._pool.submit(work)
        self._jobs.add(job)
        # Counted until the thread is done with it, also when the one who waits is cancelled before.
        job.add_done_callback(self._jobs.discard)
        return await asyncio.wrap_future(job)

    async def idle(self) -> None:
        """Returns once nothing runs or waits in the threads."""
        while self._jobs:
            await asyncio.wait([asyncio.wrap_future(job) for job in self._jobs])

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class SpeechEngines:
    """The models, loaded once for all connections, and the threads that run them."""

    def __init__(
        self,
        detection: vad.SileroModel,
        recognizer: Recognizer,
        voice: Voice,
        responder: Responder,
        workers: Workers,
    ) -> None:
        self.detection, self.recognizer, self.voice = detection, recognizer, voice
        self.responder, self.workers = responder, workers
        # Detection is a fifth of a millisecond per frame but must never queue behind a recognition.
        self.ears = ThreadPoolExecutor(1, thread_name_prefix="hearing")

    @classmethod
    def load(cls, config: LocalConfig, report: Callable[[str], None]) -> SpeechEngines:
        """Takes one to two seconds. Raises `EngineMissing`; `report` gets a line for each model."""

        def timed(name: str, load: Callable[[], T]) -> T:
            began = time.monotonic()
            model = load()
            report(f"loaded {name} in {time.monotonic() - began:.1f} s")
            return model

        detection = timed("voice activity detection (Silero)", vad.SileroModel)
        recognizer = timed(
            f"recognition (Moonshine {config.recognizer}, English)",
            lambda: Recognizer(config.recognizer_path, config.recognizer),
        )
        voice = timed("speech (hibari, English)", Voice)
        return cls(
            detection,
            recognizer,
            voice,
            make_responder(config, report),
            Workers(config.threads, config.max_waiting),
        )

    def connect(self) -> SpeechEngine:
        return SpeechEngine(self)

    def close(self) -> None:
        self.workers.close()
        self.ears.shutdown(wait=True, cancel_futures=True)


class SpeechEngine:
    """One connection's ears, over the shared models."""

    speculate = True
    partials = True
    wait_for_transcript = True

    def __init__(self, shared: SpeechEngines) -> None:
        self._shared = shared
        self._vad = vad.SileroVad(shared.detection)
        self._resampler: tuple[AudioFormat, soxr.ResampleStream] | None = None
        self._fed_ms = 0.0

    async def listen(self, audio: bytes, format: AudioFormat) -> list[Frame]:
        self._fed_ms += format.duration_ms(audio)
        frames: list[Frame] = []
        # A second at a time: a minute sent at once must not make the other connections wait.
        for start in range(0, len(audio), 1000 * format.bytes_per_ms):
            part = audio[start : start + 1000 * format.bytes_per_ms]
            frames += await asyncio.get_running_loop().run_in_executor(
                self._shared.ears, self._score, part, format
            )
        return frames

    def forget(self) -> None:
        self._vad.forget(self._fed_ms)
        self._resampler = None

    async def transcribe(self, work: Transcribe) -> Heard:
        return await self._shared.workers.run(lambda: self._recognise(work), must=work.kind != "partial")

    async def answer(self, request: AnswerRequest) -> AsyncIterator[Piece]:
        first = True
        async with aclosing(self._shared.responder.answer(request)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, Say) or not request.speaks:
                    yield piece
                    continue
                for sentence in speakable(piece.text, first):
                    audio = await self._shared.workers.run(partial(self._speak, sentence, request))
                    yield Say(sentence, piece.phase)
                    for delta in _deltas(audio, request.format):
                        yield Sound(delta)
                    first = False

    def answer_over(self, request: AnswerRequest) -> None:
        """Nothing waits for the end of an answer here."""

    def _score(self, audio: bytes, format: AudioFormat) -> list[Frame]:
        if self._resampler is None or self._resampler[0] != format:
            self._resampler = (
                format,
                soxr.ResampleStream(format.rate_hz, HEARING_HZ, 1, dtype="float32", quality="QQ"),
            )
        return self._vad.feed(self._resampler[1].resample_chunk(format.decode(audio)))

    def _recognise(self, work: Transcribe) -> Heard:
        samples = _resampled(work.format.decode(work.audio), work.format.rate_hz, HEARING_HZ)
        voiced_ms = work.voiced_ms
        if voiced_ms is None:
            voiced_ms = vad.voiced_ms(self._shared.detection, samples)
        return self._shared.recognizer.hear(samples, voiced_ms)

    def _speak(self, text: str, request: AnswerRequest) -> bytes:
        samples = self._shared.voice.speak(text, request.voice, request.speed)
        return request.format.encode(_resampled(samples, SPEAKING_HZ, request.format.rate_hz))


def _resampled(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    if from_hz == to_hz or not len(samples):
        return samples
    changed: NDArray[np.float32] = soxr.resample(samples, from_hz, to_hz)
    return changed


def _deltas(audio: bytes, format: AudioFormat, delta_ms: int = 250) -> list[bytes]:
    """Pieces of about a quarter of a second; a short rest goes with the piece before it."""
    size = delta_ms * format.bytes_per_ms
    starts = list(range(0, len(audio), size))
    if len(starts) > 1 and len(audio) - starts[-1] < size // 4:
        starts.pop()
    return [audio[start:end] for start, end in zip(starts, [*starts[1:], len(audio)], strict=True)]
