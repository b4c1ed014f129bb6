"""The origin of a handshake is compared to the letter, on both web servers, by headers as raw as a peer writes them."""

from __future__ import annotations

import base64
import json
import os
import socket
import urllib.request
from pathlib import Path
from typing import Any

from tests.serve.site_process import Rows, SiteProcess

PORT = b"{port}"
# Header lines with which a socket asks for entry; the first one alone is the page's own.
OWN = b"Origin: http://127.0.0.1:{port}"
OTHERS = [
    b"Origin: https://evil.example",
    b"Origin: null",
    b"X-No: origin at all",
    b"Origin: http://127.0.0.1:{port}.evil.example",
    b"Origin: http://evil.example/http://127.0.0.1:{port}",
    b"Origin: http://evil.http://127.0.0.1:{port}",
    b"Origin: http://user@127.0.0.1:{port}",
    b"Origin: http://127.0.0.1:{port}@evil.example",
    b"Origin: http://127.0.0.1:1{port}",
    b"Origin: http://127.0.0.1",
    b"Origin: https://127.0.0.1:{port}",
    b"Origin: file://127.0.0.1:{port}",
    b"Origin: http://[::1",
    b"Origin: http://[::ffff:127.0.0.1]:{port}",
    "Origin: http://１２７.0.0.1:{port}".encode(),
    b"Origin: http://127.0.0.1:{port}/",
    b"Origin: HTTP://127.0.0.1:{port}",
    b"Origin: http://127.0.0.1:99999999",
    b"Origin: http://evil.example\r\nOrigin: http://127.0.0.1:{port}",
    b"Origin: http://127.0.0.1:{port}\r\nOrigin: http://evil.example",
    b"Origin: http://127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}",
    b"Origin: http://evil.example\x0bOrigin: http://127.0.0.1:{port}",
    b"X-Evil: a\x0bOrigin: http://127.0.0.1:{port}",
    b"X-Evil: a\x1cOrigin: http://127.0.0.1:{port}",
    b"X-Evil: a\x85Origin: http://127.0.0.1:{port}",
    b"X-Evil: a\x0cOrigin: http://127.0.0.1:{port}",
    b"X-Long: " + b"a" * 9_000,  # longer than one of the libraries reads
]


def minted(site: SiteProcess) -> dict[str, Any]:
    """A token that is for pages of the site alone."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.port}/api/voice/realtime-session",
        b"{}",
        {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {site.log_in()}",
            "Origin": f"http://127.0.0.1:{site.port}",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def asked(site: SiteProcess, token: str, line: bytes) -> bytes:
    """The status that a handshake is answered with; none when the connection is ended instead."""
    port = str(site.port).encode()
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as peer:
        peer.sendall(
            b"GET /ws/realtime/ HTTP/1.1\r\nHost: 127.0.0.1:" + port + b"\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n"
            b"Sec-WebSocket-Protocol: voice.v1, t." + token.encode() + b"\r\n"
            + line.replace(PORT, port) + b"\r\n\r\n"
        )  # fmt: skip
        return peer.recv(4_096).split(b"\r\n")[0]


def test_only_the_exact_origin_opens_a_socket_and_nothing_breaks(folder: Path, server: str) -> None:
    with SiteProcess(folder, server) as site:
        token = minted(site)["token"]
        statuses = {line: asked(site, token, line) for line in OTHERS}
        wrong = {
            line: status
            for line, status in statuses.items()
            if status.split()[1:2] not in ([b"403"], [b"400"])
        }
        assert wrong == {}
        assert Rows(folder).active() == 0
        assert b" 101 " in asked(site, token, OWN) + b" "  # the token was good all the time, and is not spent
        assert "Traceback" not in site.output
