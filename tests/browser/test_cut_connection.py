"""The network goes in the middle of an answer and comes back: the answer is heard to its end, whole and once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from conversations.models import Message
from realtime.models import RealtimeSession
from tests.browser.conftest import Console, Person, eventually
from tests.browser.sound import Heard, heard_by
from tests.browser.tcp_proxy import TcpProxy
from tests.browser.upstream_process import UpstreamProcess

ANSWER = "This is a long answer, and none of it may be missing."
TOOTH_SAMPLES = (
    32_768 / 301
)  # the scripted answer is a saw tooth: so many samples at 24 kHz, without any silence


@pytest.fixture
def storyteller(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[UpstreamProcess]:
    """An upstream whose answer takes `request.param` seconds to hear."""
    turns = [{"hears": "Tell me something long.", "says": ANSWER, "audio_ms": request.param * 1_000}]
    script = tmp_path / "script.json"
    script.write_text(json.dumps(turns))
    with UpstreamProcess("--script", str(script)) as upstream:
        yield upstream


def teeth(heard: Heard) -> int:
    """How many teeth of the saw were played: what is missing or doubled by 5 ms shows."""
    step = 3  # at the seam of two teeth the samples fall from top to bottom, over two or three samples
    falls = np.flatnonzero(heard.samples[:-step] - heard.samples[step:] > 0.5)
    return 1 + int((np.diff(falls) > heard.rate_hz // 1_000).sum()) if len(falls) else 0


CUTS = [
    pytest.param(14, 5, id="5 s"),
    pytest.param(14, 20, id="20 s", marks=pytest.mark.long),
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("storyteller", "away_s"), CUTS, indirect=["storyteller"])
def test_an_answer_is_heard_whole_although_the_network_was_gone(
    person: Callable[..., Person],
    console: Console,
    cable: TcpProxy,
    upstream_is: Callable[[str], None],
    storyteller: UpstreamProcess,
    settings,  # type: ignore[no-untyped-def]
    away_s: int,
) -> None:
    settings.REALTIME_RESUME_GRACE_SEC = 60
    upstream_is(storyteller.url)
    console.allow("WebSocket connection|ERR_CONNECTION|Failed to load resource")  # what the cut itself causes
    ada = person(origin=f"http://127.0.0.1:{cable.port}")
    ada.chat.open().start_voice()
    ada.chat.await_state("speaking", within_ms=60_000)
    cable.refuse(True)
    cable.cut()
    ada.chat.await_state("reconnecting")
    ada.page.wait_for_timeout(away_s * 1_000)  # the length of the outage is the point
    before = teeth(heard_by(ada.page))
    cable.refuse(False)

    whole = 14 * 24_000 / TOOTH_SAMPLES
    assert 0 < before < whole / 2  # no more than the relay sends ahead: it was the middle of the answer
    ada.chat.await_state("listening", within_ms=90_000)
    ada.chat.await_row("assistant", "none of it may be missing")
    assert teeth(heard_by(ada.page)) == pytest.approx(whole, abs=4)
    expect(ada.chat.rows("assistant")).to_have_count(1)
    eventually(lambda: Message.objects.filter(role="assistant").count() == 1, "the answer is stored once")
    session = RealtimeSession.objects.get()
    assert session.ended_at is None
    ada.chat.end_call()
    eventually(lambda: RealtimeSession.objects.get().ended_at is not None, "the session is closed")
    answer = Message.objects.get(role="assistant")
    assert (answer.text, answer.status) == (ANSWER, "completed")
    assert RealtimeSession.objects.get().reconnects_browser >= 1
