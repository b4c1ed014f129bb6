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
PAUSE_MS = 400
ANSWERS = 5


@pytest.fixture(scope="module")
def thinking_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProcess]:
    """An upstream that thinks for a while and then speaks for 1 s."""
    script = tmp_path_factory.mktemp("script") / "script.json"
    script.write_text(json.dumps([{"says": "Here I am.", "audio_ms": 1_000, "delay_ms": PAUSE_MS}]))
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
    # A machine that is starved of time is late in every measurement. So of some answers the best one counts.
    found = []
    for number in range(ANSWERS):
        turn = heard_turns()[number]
        stages = (turn.endpointing_ms, turn.first_delta_ms, turn.playout_start_ms)
        assert turn.input_ended_ms is not None
        assert all(stage is not None and stage >= 0 for stage in stages)
        assert turn.silence_ms == (None if number else 500)  # the first was spoken, the others are typed
        endpointing_ms, first_delta_ms, _ = (stage or 0 for stage in stages)
        if number:  # the upstream was asked after the message had come: all of its pause lies in these two
            assert endpointing_ms + first_delta_ms >= PAUSE_MS
        sounded_ms = ada.page.evaluate("at => window.__soundsBegan()[at]", number) - began_ms
        off_ms = sum(stage or 0 for stage in stages) - (sounded_ms - turn.input_ended_ms)
        found.append((off_ms, first_delta_ms))
        # The pause begins as the upstream says that it answers, its stage begins when the relay has read that. Where it
        # is late to read, as while the test's own thread has the interpreter, the stage is shorter by as much.
        if abs(off_ms) <= ALLOWED_MS and first_delta_ms >= PAUSE_MS:
            break
        ada.chat.say_in_writing("And again?")
        eventually(lambda n=number: len(heard_turns()) == n + 2, "the next one was heard")  # type: ignore[misc]
    else:
        pytest.fail(f"ms that the stages are off, and the stage with the pause, of each answer: {found}")

    ada.chat.end_call()
    eventually(
        lambda: RealtimeSession.objects.filter(rtt_ms__gte=0, jitter_ms__gte=0).exists(), "round trips"
    )
