"""PCM16 little-endian mono at 24 kHz: units and base64. No queues and no resampling: both sides use this format."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import partial

decode_strictly = partial(binascii.a2b_base64, strict_mode=True)
encode_base64: Callable[[bytes], bytes] = partial(
    binascii.b2a_base64, newline=False
)  # PCM16 to base64, without line breaks
decode_quickly = decode_strictly
try:  # ten times as fast, where it is installed
    import pybase64
except ImportError:
    pass
else:
    encode_base64, decode_quickly = pybase64.b64encode, partial(pybase64.b64decode, validate=True)

SAMPLE_RATE_HZ = 24_000
BYTES_PER_SAMPLE = 2
BYTES_PER_MS = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000


def bytes_to_samples(count_bytes: int) -> int:
    """Whole samples in so many bytes."""
    return count_bytes // BYTES_PER_SAMPLE


def samples_to_ms(samples: int) -> int:
    """Whole milliseconds, rounded down: a truncation point must never lie past what was played."""
    return samples * 1000 // SAMPLE_RATE_HZ


def ms_to_samples(ms: float) -> int:
    """Samples in so many milliseconds."""
    return int(ms * SAMPLE_RATE_HZ / 1000)


def decode_base64(text: str | bytes | memoryview) -> bytes:
    """PCM16 bytes of a base64 text. Raises ValueError when it is not base64 or not whole samples."""
    try:
        pcm = decode_quickly(text)
    except ValueError:
        pcm = decode_strictly(text)  # it alone has the say
    if len(pcm) % BYTES_PER_SAMPLE:
        raise ValueError("odd number of bytes")
    return pcm
