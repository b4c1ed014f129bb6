"""A page that stops reading while ten minutes of speech come at once: what the process holds of it, and for how long.

    python bench/stalled.py [--readers 4]

Resident memory of the product on both web servers: before, at its most, and 20 seconds after the page stopped reading.
Beside the pages that do not read, one does, and hears its answer as far as the window goes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from typing import Any

from relays import relays
from rig import RELAY_PORT, Relay, build, resident_kib, started, take_tokens, upstream
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

BURST_S, AFTER_S, PING_EVERY_S = 600, 20.0, 5.0
LIBRARIES = ("websockets", "picows")


def ask(token: str, *, reads: bool) -> ClientConnection:
    """A page that asks a question; one that does not read has little room in its socket."""
    page = connect(
        f"ws://127.0.0.1:{RELAY_PORT}/ws/realtime/",
        subprotocols=["voice.v1", f"t.{token}"],  # type: ignore[list-item]
        compression=None,
        max_queue=None if reads else 1,
        ping_interval=None,
    )
    page.send(json.dumps({"type": "hello", "uplink_samples": 0, "client": {"page": "bench"}}))
    while True:
        said = page.recv()
        if isinstance(said, str) and json.loads(said)["type"] == "state" and '"listening"' in said:
            break
    page.send(json.dumps({"type": "input.text", "text": "Read me a book.", "client_id": token[-20:]}))
    return page


def heard_bytes(page: ClientConnection, seconds: float) -> int:
    """What a page that reads hears meanwhile: it reports nothing, so the window bounds it."""
    count, until = 0, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            said = page.recv(timeout=left)
        except TimeoutError:
            break
        count += len(said) if isinstance(said, bytes) else 0
    return count


def measure(relay: Relay, library: str, readers: int) -> dict[str, Any]:
    """The three figures, and how much the page that reads has heard."""
    tokens = take_tokens(readers + 1)
    with started(relay, REALTIME_UPSTREAM_LIBRARY=library) as pid:
        before = most = resident_kib(pid)
        stalled = [ask(token, reads=False) for token in tokens[:-1]]
        reading = ask(tokens[-1], reads=True)
        heard: list[int] = []
        listener = threading.Thread(target=lambda: heard.append(heard_bytes(reading, 5.0)))
        listener.start()
        began = told = time.monotonic()
        while time.monotonic() < began + AFTER_S:
            most = max(most, resident_kib(pid))
            # Between two looks at the memory: looking without a pause would take a core from what is measured.
            time.sleep(0.05)
            if time.monotonic() > told + PING_EVERY_S:
                told = time.monotonic()
                for page in stalled:
                    with contextlib.suppress(ConnectionClosed, OSError):
                        page.send('{"type":"ping","t":1}')  # it lives, and does not read
        listener.join()
        after = resident_kib(pid)
        for page in [*stalled, reading]:
            page.socket.close()
    sessions = readers + 1
    return {"most": (most - before) / sessions, "after": (after - before) / sessions, "heard": heard[0]}


def main() -> None:
    """Both web servers on both libraries for the upstream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=4)
    readers = parser.parse_args().readers
    build()
    with upstream("--burst-seconds", str(BURST_S)):
        ways = [(name, way) for way in LIBRARIES for name in ("product-uvicorn", "product-daphne")]
        for name, library in ways:
            found = measure(relays()[name], library, readers)
            print(
                f"{name:16} {library:10} for each session: {found['most'] / 1024:.1f} MiB at most, "
                f"{found['after'] / 1024:.1f} MiB after {AFTER_S:.0f} s; the page that reads heard "
                f"{found['heard'] / 48_000:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
