"""A WebSocket by hand, for peers with no manners: what it does not read stays in the kernel, and it answers nothing."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from typing import Self

DEADLINE_S = 20.0
TCP_ESTABLISHED = 1
LOOK_EVERY_S = 0.05


class RawSocket:
    """`with RawSocket(port, path) as peer:`; the handshake is done by then."""

    def __init__(
        self, port: int, path: str, *, subprotocols: str = "", receive_bytes: int | None = None
    ) -> None:
        self.socket = socket.socket()
        try:
            self._open(port, path, subprotocols, receive_bytes)
        except BaseException:
            self.socket.close()
            raise

    def _open(self, port: int, path: str, subprotocols: str, receive_bytes: int | None) -> None:
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        offered = f"Sec-WebSocket-Protocol: {subprotocols}\r\n" if subprotocols else ""
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offered}\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += (byte := self.socket.recv(1))
            assert byte, f"closed in the handshake after {answer!r}"
        assert answer.startswith(b"HTTP/1.1 101"), answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, payload: bytes, *, text: bool = False) -> None:
        """One message of more than 125 bytes, masked as a browser's is (with zeros)."""
        assert len(payload) > 125
        size = (
            struct.pack("!BH", 0xFE, len(payload))
            if len(payload) < 65_536
            else struct.pack("!BQ", 0xFF, len(payload))
        )
        self.socket.sendall((b"\x81" if text else b"\x82") + size + bytes(4) + payload)

    @property
    def is_open(self) -> bool:
        """Whether the kernel still counts the connection as established; nothing is read for it."""
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED

    def is_gone_within(self, seconds: float) -> bool:
        """Wait for the other side to end the connection, without reading."""
        until_s = time.monotonic() + seconds
        while self.is_open and time.monotonic() < until_s:
            # The kernel tells of an end only to who reads, and nothing may be read here.
            time.sleep(LOOK_EVERY_S)
        return not self.is_open

    def close_code(self) -> int:
        """Read on to the close frame; its code."""
        with self.socket.makefile("rb") as stream:
            while True:
                first, size = stream.read(2)
                if size == 126:
                    (size,) = struct.unpack("!H", stream.read(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", stream.read(8))
                payload = stream.read(size)
                if first & 0x0F == 8:
                    return int.from_bytes(payload[:2], "big")
