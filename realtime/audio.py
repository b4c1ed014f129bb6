"""PCM16 little-endian mono at 24 kHz: units and base64. No queues and no resampling: both sides use this format."""

import binascii

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


def decode_base64(text: str | bytes) -> bytes:
    """PCM16 bytes of a base64 text. Raises ValueError when it is not base64 or not whole samples."""
    pcm = binascii.a2b_base64(text, strict_mode=True)
    if len(pcm) % BYTES_PER_SAMPLE:
        raise ValueError("odd number of bytes")
    return pcm


def encode_base64(pcm: bytes) -> str:
    """Base64 without line breaks."""
    return binascii.b2a_base64(pcm, newline=False).decode("ascii")
