"""The waterfall of an answer against what the page's own loudspeaker did, on two clocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from realtime.models import RealtimeSession, Turn
from tests.browser.conftest import Person, eventually
from tests.browser.site_thread import SiteThread
from tests.browser.upstream_process import UpstreamProcess

ALLOWED_MS = 20
ANSWERS = 5


@pytest.fixture(scope="module")
def thinking_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProcess]:
    """An upstream that thinks for 400 ms and then speaks for 1 s."""
    script = tmp_path_factory.mktemp("script") / "script.json"
    script.write_text(json.dumps([{"says": "Here I am.", "audio_ms": 1_000, "delay_ms": 400}]))
    with UpstreamProcess("--script", str(script)) as upstream:
        yield upstream


def heard_turns() -> list[Turn]:
    return list(Turn.objects.filter(heard_ms__gt=0).order_by("pk"))


def test_the_stages_add_up_to_what_the_loudspeaker_did(
    person: Callable[..., Person],
    upstream_is: Callable[[str], None],
    thinking_upstream: UpstreamProcess,
    site: SiteThread,
) -> None:
    upstream_is(thinking_upstream.url)
    ada = person("ada")
    ada.chat.open()
    ada.chat.start_voice()
    eventually(lambda: len(heard_turns()) == 1, "the spoken answer was heard and is kept", within_sec=60)
    session = RealtimeSession.objects.get()
    began_ms = site.began_at_ms(session.pk)
    # A machine that is starved of time is late in both measurements. So of some answers the best one counts.
    off_ms = []
    for number in range(ANSWERS):
        turn = heard_turns()[number]
        stages = (turn.endpointing_ms, turn.first_delta_ms, turn.playout_start_ms)
        assert turn.input_ended_ms is not None
        assert all(stage is not None and stage >= 0 for stage in stages)
        assert turn.silence_ms == (None if number else 500)  # the first was spoken, the others are typed
        assert (turn.first_delta_ms or 0) >= 400  # the upstream's own pause is where it was
        sounded_ms = ada.page.evaluate("at => window.__soundsBegan()[at]", number) - began_ms
        off_ms.append(sum(stage or 0 for stage in stages) - (sounded_ms - turn.input_ended_ms))
        if abs(off_ms[-1]) <= ALLOWED_MS:
            break
        ada.chat.say_in_writing("And again?")
        eventually(lambda n=number: len(heard_turns()) == n + 2, "the next one was heard")  # type: ignore[misc]
    assert min(map(abs, off_ms)) <= ALLOWED_MS, off_ms

    ada.chat.end_call()
    eventually(
        lambda: RealtimeSession.objects.filter(rtt_ms__gte=0, jitter_ms__gte=0).exists(), "round trips"
    )
