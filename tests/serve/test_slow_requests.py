"""Each web server ends connections whose request does not come, however it drips, and lets slow answers be."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.site_process import SiteProcess

LIMIT_S = 2.0
LIMITS = {"REQUEST_WITHIN_S": LIMIT_S, "MAX_BODY_BYTES": 100_000}
GONE_S = 20.0
MIB = 1024 * 1024
HEAD = b"POST /api/token/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
WHOLE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def site(
    request: pytest.FixtureRequest, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SiteProcess]:
    """One for all of these tests: nothing is stored by them."""
    folder = tmp_path_factory.mktemp("slow") / "data"
    shutil.copytree(prepared, folder)
    with SiteProcess(folder, request.param, WEB_SERVER_LIMITS=LIMITS) as site:
        yield site


def connect(site: SiteProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port), timeout=GONE_S)


def answer(peer: socket.socket) -> bytes:
    """The first bytes of an answer."""
    return peer.recv(4_096)


def still_there_while_they_drip(peers: dict[str, socket.socket]) -> list[str]:
    """Send a byte now and then until the other side has ended them; returns those that it has not within `GONE_S`."""
    there, until_s = dict(peers), time.monotonic() + GONE_S
    while there and time.monotonic() < until_s:
        for name, peer in list(there.items()):
            peer.settimeout(0.05)
            try:
                if name != "nothing at all":
                    peer.sendall(b"a")
                if peer.recv(4_096) == b"":
                    del there[name]
            except TimeoutError:
                continue
            except OSError:
                del there[name]
    return list(there)


def test_a_request_that_does_not_come_is_dropped_however_it_drips(site: SiteProcess) -> None:
    begun = {
        "nothing at all": b"",
        "a line without an end": b"POST /api/token/ HT",
        "a head without an end": HEAD + b"X-Slow: ",
        "a body without an end": HEAD + b"Content-Length: 100000\r\n\r\n{",
        "a second request": WHOLE,
    }
    with contextlib.ExitStack() as stack:
        peers = {name: stack.enter_context(connect(site)) for name in begun}
        for name, peer in peers.items():
            peer.sendall(begun[name])
        assert b" 200 " in answer(peers["a second request"])
        peers["a second request"].sendall(HEAD)
        assert still_there_while_they_drip(peers) == []


def test_a_body_without_end_is_not_taken(site: SiteProcess) -> None:
    sent_bytes, piece = 0, b"1000\r\n" + bytes(4_096) + b"\r\n"
    with connect(site) as peer, contextlib.suppress(OSError):
        peer.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while sent_bytes < 64 * MIB:
            peer.sendall(piece)
            sent_bytes += len(piece)
    assert sent_bytes < 24 * MIB  # what the kernel takes on its own, and no more


def test_an_answer_may_take_longer_and_the_connection_serves_on(site: SiteProcess) -> None:
    with connect(site) as peer:
        peer.sendall(f"GET /wait?seconds={2 * LIMIT_S} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert b" 204 " in answer(peer)
        peer.sendall(WHOLE)
        assert b" 200 " in answer(peer)


def test_a_request_in_parts_is_answered(site: SiteProcess) -> None:
    with connect(site) as peer:
        for part in (HEAD[:20], HEAD[20:], b"Content-Length: 2\r\n\r\n", b"{", b"}"):
            peer.sendall(part)
        assert b" 400 " in answer(peer)
        peer.sendall(WHOLE)
        while b" 200 " not in answer(peer):
            pass
