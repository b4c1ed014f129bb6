"""The three audio formats of the protocol and their conversion with numpy; no streaming, no resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A wire format of mono audio. `bytes_per_ms` is exact for all three."""

    name: str
    rate_hz: int
    sample_bytes: int

    @property
    def bytes_per_ms(self) -> int:
        return self.rate_hz * self.sample_bytes // 1000

    def duration_ms(self, audio: bytes | bytearray | int) -> float:
        """Length of `audio` (or of that many bytes) in milliseconds."""
        size = audio if isinstance(audio, int) else len(audio)
        return size / self.bytes_per_ms

    def decode(self, audio: bytes) -> NDArray[np.float32]:
        """Bytes of this format to float32 in [-1, 1) at `rate_hz`."""
        if self.name == "audio/pcm":
            return np.frombuffer(audio, "<i2").astype(np.float32) / 32768.0
        table = _ULAW_TO_PCM if self.name == "audio/pcmu" else _ALAW_TO_PCM
        return table[np.frombuffer(audio, np.uint8)].astype(np.float32) / 32768.0

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """Float samples at `rate_hz` to bytes; what is out of range is clipped."""
        pcm = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2")
        if self.name == "audio/pcm":
            return pcm.tobytes()
        thresholds, codes = _ULAW_ENCODER if self.name == "audio/pcmu" else _ALAW_ENCODER
        return codes[np.searchsorted(thresholds, pcm)].tobytes()


def _ulaw_table() -> NDArray[np.int16]:
    """G.711 mu-law: sign, three bits of exponent, four of mantissa, all inverted; bias 132."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    magnitude = ((mantissa * 8 + 132) << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    """G.711 A-law: even bits inverted; the first segment is linear."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = np.where(
        exponent == 0, mantissa * 16 + 8, (mantissa * 16 + 264) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


def _encoder(table: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Decision thresholds half-way between neighbouring levels, and the code of each interval."""
    order = np.argsort(table, kind="stable")
    levels = table[order].astype(np.float64)
    return (levels[:-1] + levels[1:]) / 2, order.astype(np.uint8)


_ULAW_TO_PCM, _ALAW_TO_PCM = _ulaw_table(), _alaw_table()
_ULAW_ENCODER, _ALAW_ENCODER = _encoder(_ULAW_TO_PCM), _encoder(_ALAW_TO_PCM)

PCM = AudioFormat("audio/pcm", 24_000, 2)
FORMATS = {
    PCM.name: PCM,
    "audio/pcmu": AudioFormat("audio/pcmu", 8_000, 1),
    "audio/pcma": AudioFormat("audio/pcma", 8_000, 1),
}
