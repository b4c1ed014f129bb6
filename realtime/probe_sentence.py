"""What the probe says: PCM of a WAV file, or a sentence of the local voice when that is installed. No sockets."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.audio import SAMPLE_RATE_HZ
from realtime.probe_faults import StageFailed

SENTENCE = "Hello, can you hear me?"
SHORTEST_S, LONGEST_S = 0.1, 60.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """PCM16 mono at 24 kHz, and its words; empty words are not compared with what is understood."""

    pcm: bytes
    words: str


def from_file(path: Path, words: str = "") -> Sentence:
    """A WAV file (16 bits, any rate, any number of channels). Raises StageFailed when it cannot be used."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise StageFailed("bad_audio", bits=file.getsampwidth() * 8)
            rate_hz, channels = file.getframerate(), file.getnchannels()
            raw = file.readframes(int(rate_hz * (LONGEST_S + 1)))
    except (OSError, EOFError, wave.Error):
        raise StageFailed("bad_audio") from None
    samples = np.frombuffer(raw, "<i2").reshape(-1, channels).mean(axis=1)
    if not SHORTEST_S <= len(samples) / rate_hz <= LONGEST_S:
        raise StageFailed("bad_audio", seconds=round(len(samples) / rate_hz, 1))
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr

        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return Sentence(np.clip(samples, -32768, 32767).astype("<i2").tobytes(), words)


def spoken() -> Sentence | None:
    """The sentence in the local voice; None where that is not installed. Takes a second or two to load."""
    try:
        from realtime.local.errors import EngineMissing
        from realtime.local.voice import Voice

        samples = Voice().speak(SENTENCE)
    except (ImportError, EngineMissing):
        return None
    return Sentence((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), SENTENCE)
