"""Speech: hibari under the protocol's voice names. One sentence in, 24 kHz samples out; no queueing, no formats."""

from __future__ import annotations

import importlib.util
import re
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.local.errors import EngineMissing

RATE_HZ = 24_000
_FRAME_SAMPLES = RATE_HZ // 100
LEAD_MS, TAIL_MS = 40, 260  # silence kept before and after a sentence
QUIET = 0.004  # level of 10 ms, as the model renders it, below which nothing is said
LEVEL = 0.1  # level of speech after `_levelled`: -20 dB, loud enough without a limiter at work all the time
KNEE = 0.7
_FIRST_CUT = re.compile(r"(?<=[,;:])\s+")
_FIRST_CUT_MIN_WORDS = 4


@dataclass(frozen=True, slots=True)
class Timbre:
    """How a voice differs from the one that the package carries: factors of pitch and formants, and of pace."""

    pitch: float = 1.0
    formant: float = 1.0
    pace: float = 1.0


# The package has one voice; the others are made of it by moving pitch and formants, which costs no weights.
TIMBRES = {
    "marin": Timbre(),
    "cedar": Timbre(0.64, 0.88),
    "alloy": Timbre(0.82, 0.94),
    "ash": Timbre(0.70, 0.90, 1.04),
    "ballad": Timbre(0.76, 0.91, 0.94),
    "coral": Timbre(1.10, 1.04),
    "echo": Timbre(0.60, 0.86, 0.98),
    "sage": Timbre(0.92, 0.97, 0.95),
    "shimmer": Timbre(1.18, 1.07, 1.03),
    "verse": Timbre(0.88, 0.95, 1.05),
}


class Voice:
    """The shared speech model. `speak` may be called from several threads."""

    def __init__(self) -> None:
        if importlib.util.find_spec("hibari") is None:
            raise EngineMissing("Speech needs a package: pip install hibari-tts==0.2.1")
        from hibari import Hibari

        self._model: Any = Hibari()
        # The part that turns spelling into sounds keeps state while it works; synthesis itself does not.
        self._spelling_lock = threading.Lock()
        self.speak("Warm up.")

    def speak(self, text: str, voice: str = "marin", speed: float = 1.0) -> NDArray[np.float32]:
        """Mono float32 at 24 kHz in [-1, 1]. The same words always give the same samples.

        Unknown voice names (a custom voice's id) speak as marin. `speed` 0.25 to 1.5.
        """
        timbre = TIMBRES.get(voice, TIMBRES["marin"])
        with self._spelling_lock:
            sounds = [self._model.ids(phonemes) for phonemes in self._model.phonemize(text)]
        noise = np.random.default_rng(0)
        parts = [self._render(ids, timbre, speed, noise) for ids in sounds if len(ids) > 2]
        return _levelled(_trimmed(np.concatenate(parts))) if parts else np.zeros(0, np.float32)

    def _render(
        self, ids: list[int], timbre: Timbre, speed: float, noise: np.random.Generator
    ) -> NDArray[np.float32]:
        from hibari import dsp

        pace = np.array([np.clip(speed * timbre.pace, 0.25, 2.0)], np.float32)
        outputs = self._model.sess.run(None, {"ids": np.array([ids], np.int64), "speed": pace})
        harmonics, harmonic_phase, noise_level, residual, phase, pitch = (output[0] for output in outputs)
        if timbre.formant != 1.0:
            harmonics = _warped(harmonics, timbre.formant)
            harmonic_phase = _warped(harmonic_phase, timbre.formant)
            noise_level = _warped(noise_level, timbre.formant)
            # The free-phase branch belongs to the original pitch: keep only a trace of it.
            residual = _warped(residual, timbre.formant) - 1.5
        audio: NDArray[np.float32] = dsp.synth(
            harmonics, harmonic_phase, noise_level, residual, phase, pitch * timbre.pitch, noise
        )
        return audio


def speakable(text: str, first: bool = False) -> list[str]:
    """Text in the pieces in which it is best spoken: sentences, and the very first one cut at its first comma."""
    from hibari import Hibari

    sentences: list[str] = Hibari.split_sentences(text)
    if first and sentences:
        head = _FIRST_CUT.split(sentences[0], maxsplit=1)
        if len(head) == 2 and min(len(part.split()) for part in head) >= _FIRST_CUT_MIN_WORDS:
            sentences = [*head, *sentences[1:]]
    return sentences


def _trimmed(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without most of the silence around a sentence: the model leaves 300 ms in front, which people would wait for."""
    loud = np.flatnonzero(_frame_levels(audio) > QUIET)
    if not len(loud):
        return audio
    start = max(0, loud[0] * _FRAME_SAMPLES - LEAD_MS * RATE_HZ // 1000)
    end = min(len(audio), (loud[-1] + 1) * _FRAME_SAMPLES + TAIL_MS * RATE_HZ // 1000)
    return audio[start:end]


def _levelled(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every voice and sentence equally loud, peaks rounded instead of clipped."""
    levels = _frame_levels(audio)
    active = levels[levels > QUIET]
    if not len(active):
        return audio
    audio = audio * np.float32(LEVEL / np.sqrt(np.mean(np.square(active))))
    size = np.abs(audio)
    rounded = KNEE + (1 - KNEE) * np.tanh((size - KNEE) / (1 - KNEE))
    return np.where(size > KNEE, np.sign(audio) * rounded, audio).astype(np.float32)


def _frame_levels(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square of each whole 10 ms."""
    frames = audio[: len(audio) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)
    levels: NDArray[np.float32] = np.sqrt(np.mean(np.square(frames), axis=1))
    return levels


def _warped(spectrum: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """A spectrum per frame (bins, frames) stretched along frequency: what was at bin b moves to b * factor."""
    bins = np.arange(spectrum.shape[0], dtype=np.float32)
    source = np.minimum(bins / factor, bins[-1])
    low = source.astype(np.int64)
    high = np.minimum(low + 1, len(bins) - 1)
    share = (source - low)[:, None].astype(np.float32)
    warped: NDArray[np.float32] = spectrum[low] * (1 - share) + spectrum[high] * share
    return warped
