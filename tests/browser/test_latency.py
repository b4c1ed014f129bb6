"""The waterfall of an answer against what the page's own loudspeaker did, on two clocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from realtime.models import RealtimeSession, Turn
from tests.browser.conftest import Person, eventually
from tests.browser.site_thread import SiteThread
from tests.browser.upstream_process import UpstreamProcess

ALLOWED_MS = 20


@pytest.fixture(scope="module")
def thinking_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProcess]:
    """An upstream that thinks for 400 ms and then speaks for 2 s."""
    script = tmp_path_factory.mktemp("script") / "script.json"
    script.write_text(json.dumps([{"says": "Here I am.", "audio_ms": 2_000, "delay_ms": 400}]))
    with UpstreamProcess("--script", str(script)) as upstream:
        yield upstream


def test_the_stages_add_up_to_what_the_loudspeaker_did(
    person: Callable[..., Person],
    upstream_is: Callable[[str], None],
    thinking_upstream: UpstreamProcess,
    site: SiteThread,
    tmp_path: Path,
) -> None:
    upstream_is(thinking_upstream.url)
    ada = person("ada")
    ada.chat.open()
    ada.chat.start_voice()
    ada.chat.await_row("assistant", "Here I am")
    eventually(lambda: Turn.objects.filter(heard_ms__gt=0).exists(), "the answer was heard and is kept")
    session = RealtimeSession.objects.get()
    turn = Turn.objects.get()
    assert turn.input_ended_ms is not None
    stages = (turn.endpointing_ms, turn.first_delta_ms, turn.playout_start_ms)
    assert all(stage is not None and stage >= 0 for stage in stages)
    assert turn.silence_ms == 500
    assert turn.first_delta_ms >= 400  # type: ignore[operator]  # the upstream's own pause is where it was

    heard_ms = ada.page.evaluate("window.__soundsBegan()[0]") - site.began_at_ms(session.pk)
    whole_ms = heard_ms - turn.input_ended_ms
    print(f"measured {whole_ms:.1f} ms, stages {stages}")
    assert abs(sum(stage or 0 for stage in stages) - whole_ms) <= ALLOWED_MS

    ada.chat.end_call()
    eventually(
        lambda: RealtimeSession.objects.filter(rtt_ms__gte=0, jitter_ms__gte=0).exists(), "round trips"
    )
