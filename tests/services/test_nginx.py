"""The shipped nginx files, run by nginx: what it passes on, what it refuses, whom it asks, what it writes down."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.services.echo import Echo
from tests.services.engines import free_port
from tests.services.site import HOST, ROOT, Nginx, replaced

addresses = itertools.count(1)  # each test has addresses of its own: limits are counted by address


@pytest.fixture(scope="module")
def echoes() -> Iterator[list[Echo]]:
    """Four workers that say who they are."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Echo()) for _ in range(4)]


@pytest.fixture(scope="module")
def nginx(folder: Path, echoes: list[Echo]) -> Iterator[Nginx]:
    """nginx before them."""
    with Nginx(folder / "nginx-alone", [echo.port for echo in echoes]) as running:
        yield running


@pytest.fixture
def address() -> str:
    """Where a test comes from."""
    return f"127.0.2.{next(addresses)}"


def ask(
    nginx: Nginx, address: str, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    """One request over TLS: status, and the worker's JSON or None."""
    connection = http.client.HTTPSConnection(
        HOST, nginx.port, timeout=30, context=nginx.trust, source_address=(address, 0)
    )
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw.startswith(b"{") else None
    finally:
        connection.close()


def upgrade(nginx: Nginx, address: str, session_id: UUID) -> tuple[int, str, socket.socket]:
    """Open a socket: status, worker, and the connection."""
    raw = socket.create_connection((HOST, nginx.port), timeout=30, source_address=(address, 0))
    connection = nginx.trust.wrap_socket(raw)
    connection.sendall(
        f"GET /ws/realtime/{session_id}/ HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Protocol: voice.v1, t.canary-token\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            break
        head += part
    text = head.decode()
    worker = next(
        (line.split(": ")[1] for line in text.splitlines() if line.lower().startswith("x-worker")), ""
    )
    return int(text.split(" ")[1]), worker, connection


def test_nginx_finds_no_fault_in_the_files(nginx: Nginx) -> None:
    checked = nginx.check()
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr


def test_plain_http_is_sent_to_https(nginx: Nginx) -> None:
    connection = http.client.HTTPConnection(HOST, nginx.plain_port, timeout=30)
    connection.request("GET", "/accounts/login/?next=/")
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{HOST}/accounts/login/?next=/")


@pytest.mark.parametrize("path", ["/", "/ws/realtime/"])
def test_what_a_visitor_claims_about_proxies_is_replaced(nginx: Nginx, address: str, path: str) -> None:
    claims = dict.fromkeys(("X_Forwarded_For", "X_Real_IP", "Forwarded", "X_Forwarded_Host"), "203.0.113.7")
    status, told = ask(nginx, address, path, X_Forwarded_Proto="http", **claims)
    assert status == 200
    headers = told["headers"]
    assert "203.0.113.7" not in headers.values()
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == address
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == f"{HOST}:{nginx.port}"
    assert told["twice"] == []


def test_a_session_is_always_sent_to_the_same_worker_and_sessions_are_spread(
    nginx: Nginx, address: str
) -> None:
    ids = [uuid4() for _ in range(16)]
    first, again = [], []
    for seen in (first, again):
        for session_id in ids:
            status, worker, connection = upgrade(nginx, address, session_id)
            connection.close()
            assert status == 101
            seen.append(worker)
    assert first == again
    assert len(set(first)) > 1


class ComposeNginx(Nginx):
    """With the workers of the compose file: one name that stands for the addresses of all of them."""

    def __init__(self, folder: Path, port: int, addresses: list[str]) -> None:
        super().__init__(folder, [port] * 4)
        self._port, self._addresses = port, addresses

    def prepare(self) -> None:
        """And a machine on which the name has these addresses."""
        super().prepare()
        shipped = (ROOT / "deploy" / "compose" / "workers.conf").read_text(encoding="utf-8")
        workers = replaced(shipped, {"worker:8000": f"worker:{self._port}"})
        (self.folder / "workers.conf").write_text(workers, encoding="utf-8")
        (self.folder / "hosts").write_text("".join(f"{one} worker\n" for one in self._addresses))

    def command(self) -> list[str]:
        """In a view of the files of its own, where /etc/hosts is that one."""
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(self.folder / "hosts"), *super().command()]


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0,
    reason="only root may give a program an /etc/hosts of its own",
)
def test_among_containers_too_a_session_is_always_sent_to_the_same_worker(folder: Path, address: str) -> None:
    places = ["127.0.4.1", "127.0.4.2", "127.0.4.3", "127.0.4.4"]
    with contextlib.ExitStack() as stack:
        port = free_port()
        for place in places:
            stack.enter_context(Echo(place, port))
        nginx = stack.enter_context(ComposeNginx(folder / "nginx-compose", port, places))
        found = set()
        for session_id in [uuid4() for _ in range(16)]:
            seen = set()
            for _ in range(3):
                status, worker, connection = upgrade(nginx, address, session_id)
                connection.close()
                assert status == 101
                seen.add(worker)
            assert len(seen) == 1
            found |= seen
    assert len(found) > 1


def test_when_a_worker_is_gone_its_sessions_are_sent_to_another(folder: Path, address: str) -> None:
    with Echo() as left, Echo() as gone, Nginx(folder / "nginx-two", [left.port, gone.port] * 2) as nginx:
        ids = [uuid4() for _ in range(12)]
        before = {}
        for session_id in ids:
            _, before[session_id], connection = upgrade(nginx, address, session_id)
            connection.close()
        assert set(before.values()) == {str(left.port), str(gone.port)}
        gone.stop()
        for session_id in ids:
            status, worker, connection = upgrade(nginx, address, session_id)
            connection.close()
            assert (status, worker) == (101, str(left.port))


def test_workers_that_are_started_anew_one_after_the_other_are_there_at_once(
    folder: Path, address: str
) -> None:
    ids = [uuid4() for _ in range(9)]

    def all_get_in(nginx: Nginx, stack: contextlib.ExitStack) -> set[str]:
        found = set()
        for session_id in ids:
            status, worker, connection = upgrade(nginx, address, session_id)
            stack.callback(connection.close)  # calls last: nginx counts a socket as a success when it ends
            assert status == 101
            found.add(worker)
        return found

    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(Echo()) for _ in range(2))
        names = [str(first.port), str(second.port)]
        nginx = stack.enter_context(Nginx(folder / "nginx-anew", [first.port, second.port] * 2))
        first.stop()
        assert all_get_in(nginx, stack) == {names[1]}
        first = stack.enter_context(Echo(port=first.port))
        second.stop()
        assert all_get_in(nginx, stack) == {names[0]}


def test_one_address_has_twenty_sockets(nginx: Nginx, address: str) -> None:
    with contextlib.ExitStack() as stack:
        statuses = []
        for _ in range(22):
            status, _, connection = upgrade(nginx, address, uuid4())
            stack.callback(connection.close)
            statuses.append(status)
        assert statuses == [101] * 20 + [429] * 2
        other = f"127.0.3.{address.rsplit('.', 1)[1]}"
        status, _, connection = upgrade(nginx, other, uuid4())
        stack.callback(connection.close)
        assert status == 101  # another address is another person


def test_one_address_has_a_pace(folder: Path, address: str) -> None:
    # Without workers nginx answers by itself, so fast that no machine is too busy to go over the pace.
    with Nginx(folder / "nginx-pace", [free_port()] * 4) as nginx:
        raw = socket.create_connection((HOST, nginx.port), timeout=30, source_address=(address, 0))
        request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n"
        with nginx.trust.wrap_socket(raw) as connection:
            connection.sendall((f"{request}\r\n" * 299 + f"{request}Connection: close\r\n\r\n").encode())
            answers = b""
            while part := connection.recv(65_536):
                answers += part
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answers)
    assert len(statuses) == 300
    assert statuses[:60] == [b"502"] * 60  # a burst is let through
    assert statuses.count(b"429") > 100


def test_who_sends_a_header_slowly_is_not_waited_for(nginx: Nginx, address: str) -> None:
    raw = socket.create_connection((HOST, nginx.port), timeout=30, source_address=(address, 0))
    with nginx.trust.wrap_socket(raw) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while connection.recv(4096):
                pass
        assert time.monotonic() - began < 25


def test_too_much_is_refused(nginx: Nginx, address: str) -> None:
    assert ask(nginx, address, "/", method="POST", body=b"x" * 900_000)[0] == 200
    assert ask(nginx, address, "/", method="POST", body=b"x" * 1_100_000)[0] == 413
    assert ask(nginx, address, "/", Cookie="x" * 12_000)[0] == 400


def test_metrics_are_not_for_the_outside(nginx: Nginx, address: str) -> None:
    assert ask(nginx, address, "/metrics") == (404, None)


def test_what_it_writes_down_holds_no_query_and_no_token(folder: Path, address: str) -> None:
    with Echo() as worker, Nginx(folder / "nginx-logs", [worker.port] * 4) as nginx:
        assert ask(nginx, address, "/path?secret=canary-query", Referer="https://x/?canary-referer")[0] == 200
        status, _, connection = upgrade(nginx, address, uuid4())
        connection.close()
        assert status == 101
        worker.stop()
        assert ask(nginx, address, "/path?secret=canary-query")[0] == 502  # errors quote nothing either
        nginx.stop()
        lines = [json.loads(line) for line in nginx.logs.splitlines() if line.startswith("{")]
        assert [(line["path"], line["status"]) for line in lines if line["path"] == "/path"] == [
            ("/path", "200"), ("/path", "502"),
        ]  # fmt: skip
        assert all(line["address"] == address for line in lines)
        assert "canary" not in nginx.logs
