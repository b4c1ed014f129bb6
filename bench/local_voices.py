"""Spoken sentences for the benches of the local server, in synthetic voices that it was not tuned on. Measures nothing.

Uses what is installed: flite (voices slt, rms, awb), SVOX Pico (`pip install py-nanotts`), espeak-ng.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

RATE_HZ = 24_000
SENTENCES = (
    "Please remind me to water the plants on Sunday.",
    "The museum opens at ten and closes at six.",
    "I would like to book a table for four people.",
    "Could you explain that again in simpler words?",
    "Her brother works as a teacher in a small village.",
    "We missed the last bus and had to walk home.",
    "Is there a bakery near the train station?",
    "The meeting was moved to the second floor.",
    "He forgot his umbrella and got completely wet.",
    "What should I cook for dinner tonight?",
    "They painted the kitchen yellow last summer.",
    "My computer is slow since the last update.",
)


def voices() -> list[str]:
    """Names of the voices that this machine has."""
    found = []
    if shutil.which("flite"):
        found += ["flite slt", "flite rms", "flite awb"]
    if importlib.util.find_spec("py_nanotts"):
        found += ["pico en-US", "pico en-GB"]
    if shutil.which("espeak-ng"):
        found += ["espeak en-us"]
    return found


def say(voice: str, text: str) -> NDArray[np.float32]:
    """Mono float32 at 24 kHz, without silence around it."""
    engine, name = voice.split(" ")
    if engine == "pico":
        from py_nanotts import NanoTTS

        audio, rate = NanoTTS().speak(text, voice=name), 16_000
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            command = (
                ["flite", "-voice", name, "-t", text, "-o", str(path)]
                if engine == "flite"
                else ["espeak-ng", "-v", name, "-w", str(path), text]
            )
            subprocess.run(command, check=True, capture_output=True)
            with wave.open(io.BytesIO(path.read_bytes())) as sound:
                audio, rate = sound.readframes(sound.getnframes()), sound.getframerate()
    samples = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
    samples = soxr.resample(samples, rate, RATE_HZ)
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    trimmed: NDArray[np.float32] = samples[loud[0] : loud[-1] + 1]
    return trimmed
