"""Bodies without end are not written to the disk: past a bound nothing more is taken, and the answer is 413."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voiceproject import body_limit
from voiceproject.asgi import application as site

LIMIT = 1_000


class Peer:
    """Sends pieces of a body for as long as it is asked for more, and keeps what it is answered."""

    def __init__(self, piece: bytes, pieces: int, **headers: str) -> None:
        self.piece, self.pieces, self.taken = piece, pieces, 0
        self.answers: list[dict[str, Any]] = []
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/api/token/",
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }

    async def receive(self) -> dict[str, Any]:
        if self.taken == self.pieces:
            await asyncio.Event().wait()  # it is still there
        self.taken += 1
        return {"type": "http.request", "body": self.piece, "more_body": self.taken < self.pieces}

    async def send(self, event: dict[str, Any]) -> None:
        self.answers.append(event)

    @property
    def status(self) -> int:
        return int(self.answers[0]["status"])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "MAX_BODY_BYTES", LIMIT)


@pytest.mark.asyncio
async def test_a_body_without_end_is_not_read_to_its_end(transactional_db: None) -> None:
    peer = Peer(b"a" * 300, 1_000_000, host="testserver", content_type="application/json")
    await site(peer.scope, peer.receive, peer.send)
    assert peer.taken == 4
    assert peer.status == 413


@pytest.mark.asyncio
@pytest.mark.parametrize("told", ["1001", "9" * 5_000])
async def test_a_body_that_says_it_is_too_large_is_not_read_at_all(told: str) -> None:
    peer = Peer(b"a", 5, host="testserver", content_length=told)
    await site(peer.scope, peer.receive, peer.send)
    assert (peer.taken, peer.status) == (0, 413)


@pytest.mark.asyncio
async def test_a_body_of_the_largest_size_is_taken(transactional_db: None) -> None:
    peer = Peer(
        b"a" * LIMIT, 1, host="testserver", content_type="application/json", content_length=str(LIMIT)
    )
    await site(peer.scope, peer.receive, peer.send)
    assert peer.status == 400  # no JSON
