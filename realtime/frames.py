"""What a page sends, cut into WebSocket frames (RFC 6455), and the head of a frame to it.

Whole, unfragmented messages are unmasked here: all that an honest page sends while it talks. Every other frame is for
the web server's library, which gets it whole, so that the library always stands between two frames.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this machine
    from websockets.utils import apply_mask

TEXT, BINARY, OTHER = 0x81, 0x82, 0  # the first byte of a whole message; OTHER: bytes for the library
FIN, MASKED = 0x80, 0x80


def head(kind: int, length: int) -> bytes:
    """The head of a whole, unmasked message of `length` bytes; `kind` is TEXT or BINARY."""
    if length < 126:
        return bytes((kind, length))
    if length < 65_536:
        return bytes((kind, 126, length >> 8, length & 0xFF))
    return bytes((kind, 127)) + length.to_bytes(8, "big")


def framed(payload: str | bytes) -> bytes:
    """A whole, unmasked message as a frame: text of a `str`, binary of bytes."""
    if isinstance(payload, bytes):
        return head(BINARY, len(payload)) + payload
    text = payload.encode()
    return head(TEXT, len(text)) + text


class Cutter:
    """Cuts the bytes of one connection, from the end of its handshake on."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: the longest payload of a frame. A longer one is passed on at once for the library to refuse."""
        self._max_bytes = max_bytes
        self._rest = bytearray()  # the beginning of a frame
        self._missing = 0  # so many bytes at least before it is worth looking again
        self._fragments = False  # within a message of several frames
        self._gave_up = False  # a frame was too long: the library ends the connection

    def cut(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are whole now: TEXT or BINARY with the message, or OTHER with the frame as it came."""
        if self._is_one_message(data):
            return [(data[0], apply_mask(data[8:], data[4:8]))]
        if self._rest:
            self._rest += data
            if len(self._rest) < self._missing and not self._gave_up:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[tuple[int, bytes]] = []
        start, size = 0, len(data)
        while start < size:
            if self._gave_up:
                frames.append((OTHER, data[start:]))
                break
            begin, length = _measure(data, start)
            end = begin + length
            if length > self._max_bytes:
                self._gave_up = True
                continue
            if end > size or not begin:
                self._rest += data[start:]
                self._missing = end - start
                break
            first = data[start]
            if self._is_message(first, data[start + 1]):
                frames.append((first, apply_mask(data[begin:end], data[begin - 4 : begin])))
            else:
                frames.append((OTHER, data[start:end]))
                if first & 0x0F <= 2:  # data, and not control
                    self._fragments = not first & FIN
            start = end
        return frames

    def _is_one_message(self, data: bytes) -> bool:
        """Whether this is one whole message and nothing else, of a length as a frame of audio has: the common case."""
        return (
            len(data) > 8
            and data[0] in (TEXT, BINARY)
            and data[1] == MASKED | 126
            and len(data) - 8 == data[2] << 8 | data[3]
            and len(data) - 8 <= self._max_bytes
            and not (self._rest or self._fragments or self._gave_up)
        )

    def _is_message(self, first: int, second: int) -> bool:
        return first in (TEXT, BINARY) and bool(second & MASKED) and not self._fragments


def _measure(data: bytes, start: int) -> tuple[int, int]:
    """Where the payload begins and how long it is; (0, 0) when the head has not come whole."""
    have = len(data) - start
    if have < 2:
        return 0, 0
    length = data[start + 1] & 0x7F
    begin = start + (6 if data[start + 1] & MASKED else 2)
    if length == 126:
        if have < 4:
            return 0, 0
        begin, length = begin + 2, data[start + 2] << 8 | data[start + 3]
    elif length == 127:
        if have < 10:
            return 0, 0
        begin, length = begin + 8, int.from_bytes(data[start + 2 : start + 10], "big")
    return begin, length
