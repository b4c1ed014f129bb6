"""The input audio buffer: bytes by their place in the session's audio. Knows nothing of turns or items."""

from __future__ import annotations

from realtime.local.audio_formats import AudioFormat

KEEP_IDLE_MS = 30_000  # while nobody speaks, what is older than this is dropped
LONGEST_MS = 600_000  # ten minutes without a commit or an end of speech is all that fits


class InputBuffer:
    """Audio since the last commit. Positions are milliseconds since the first appended audio of the session."""

    def __init__(self, format: AudioFormat, origin_ms: float = 0.0) -> None:
        self.format = format
        self._audio = bytearray()
        self._start_bytes = round(origin_ms * format.bytes_per_ms)

    @property
    def start_ms(self) -> float:
        return self._start_bytes / self.format.bytes_per_ms

    @property
    def end_ms(self) -> float:
        return (self._start_bytes + len(self._audio)) / self.format.bytes_per_ms

    @property
    def length_ms(self) -> float:
        return self.format.duration_ms(len(self._audio))

    def append(self, audio: bytes) -> None:
        self._audio += audio

    def between(self, start_ms: float, end_ms: float) -> bytes:
        """The audio from `start_ms` to `end_ms`, as much of it as is still here."""
        return bytes(self._audio[self._offset(start_ms) : self._offset(end_ms)])

    def take(self, start_ms: float, end_ms: float) -> bytes:
        """As `between`; and everything before `end_ms` is gone afterwards."""
        audio = self.between(start_ms, end_ms)
        self.drop_before(end_ms)
        return audio

    def clear(self) -> None:
        self.drop_before(self.end_ms)

    def drop_before(self, position_ms: float) -> None:
        offset = self._offset(position_ms)
        del self._audio[:offset]
        self._start_bytes += offset

    def trim_idle(self) -> None:
        """Keep memory bounded while nobody speaks; in steps, since each one moves the rest of the bytes."""
        if self.length_ms > 2 * KEEP_IDLE_MS:
            self.drop_before(self.end_ms - KEEP_IDLE_MS)

    def _offset(self, position_ms: float) -> int:
        size = self.format.sample_bytes
        offset = int(position_ms * self.format.bytes_per_ms) // size * size - self._start_bytes
        return max(0, min(offset, len(self._audio)))
