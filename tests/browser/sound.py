"""Sound for the browser tests: a spoken question as a WAV file, and what was played measured and understood.

Both come from the project's own voice and recogniser, so no recording is kept in the repository.
"""

from __future__ import annotations

import base64
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from playwright.sync_api import Page

from realtime.local.recognizer import Recognizer
from realtime.local.voice import RATE_HZ, Voice

SILENCE_BEFORE_MS = 800
# The browser repeats a file's last buffer for ever, so that buffer must be silent.
SILENCE_AFTER_MS = 1500
AUDIBLE = 0.003  # of full scale, about -50 dB


def write_spoken(path: Path, text: str) -> Path:
    """Write a mono PCM16 WAV at 24 kHz of the text being said, silence around it."""
    speech = Voice().speak(text)
    samples = np.concatenate([
        np.zeros(SILENCE_BEFORE_MS * RATE_HZ // 1000, np.float32),
        speech,
        np.zeros(SILENCE_AFTER_MS * RATE_HZ // 1000, np.float32),
    ])  # fmt: skip
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@dataclass(frozen=True)
class Heard:
    """What a page sent to the loudspeaker: float32 in [-1, 1] at `rate_hz`."""

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def audible_ms(self) -> float:
        """Length of what was loud enough to be heard, in steps of 20 ms."""
        step = self.rate_hz // 50
        whole = self.samples[: len(self.samples) // step * step].reshape(-1, step)
        return 20.0 * int((self._levels(whole) > AUDIBLE).sum())

    @property
    def peak(self) -> float:
        """The loudest sample, of full scale."""
        return float(np.abs(self.samples).max(initial=0.0))

    @staticmethod
    def _levels(steps: NDArray[np.float32]) -> NDArray[np.float32]:
        levels: NDArray[np.float32] = np.sqrt(np.mean(np.square(steps), axis=1))
        return levels

    def words(self, recognizer: Recognizer) -> str:
        """What a listener understood, in lower case."""
        return recognizer.transcribe(soxr.resample(self.samples, self.rate_hz, 16_000)).lower()


def heard_by(page: Page) -> Heard:
    """Everything that the page played so far. Fails when the tap itself did."""
    tap = page.evaluate("window.__heard()")
    assert tap["problem"] is None, tap["problem"]
    pcm = np.frombuffer(base64.b64decode(tap["samples"]), "<i2")
    return Heard(pcm.astype(np.float32) / 32768, tap["rateHz"] or 48_000)
