"""A worker that says which one it is and what it was asked, for tests of the proxy alone. It holds upgrades open."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class NamedServer(ThreadingHTTPServer):
    """One that knows what to call itself."""

    called = ""


class Handler(BaseHTTPRequestHandler):
    """Answers everything with the request's own headers."""

    server: NamedServer

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """What came, as JSON; an upgrade is taken and then stays silent until the peer goes."""
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("X-Worker", self.server.called)
            self.end_headers()
            self.rfile.read(1)
            self.close_connection = True
            return
        self._answer()

    def do_POST(self) -> None:
        """The same, after the body."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        names = [name.lower() for name in self.headers]
        body = {
            "worker": self.server.server_port,
            "path": self.path,
            "headers": dict(zip(names, self.headers.values(), strict=True)),
            "twice": sorted({name for name in names if names.count(name) > 1}),
        }
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


class Echo:
    """`with Echo() as worker:`; `worker.port`. It calls itself by its port, or by the address that it is given."""

    def __init__(self, address: str = "", port: int = 0) -> None:
        self.address, self.port = address, port

    def __enter__(self) -> Self:
        self.server = NamedServer((self.address or "127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.server.called = self.address or str(self.port)
        self._thread = threading.Thread(target=self.server.serve_forever, name="echo", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No longer there: connections are refused."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)
