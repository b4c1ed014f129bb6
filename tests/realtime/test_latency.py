"""The marks of a turn on two clocks, and the quality of the connection: who is believed, and within which bounds."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from realtime.conf import RelayConfig
from realtime.effects import Effect, RecordEnd, RecordEvent, RecordTurn
from realtime.latency import MOST_AHEAD_MS, TurnMarks
from realtime.link_quality import TOLD_EVERY_MS, LinkQuality
from realtime.session import Session

VAD = {"type": "server_vad", "silence_duration_ms": 500}
CONFIG = RelayConfig(
    upstream_url="ws://127.0.0.1:1/v1/realtime",
    model="m",
    voice="marin",
    instructions="x",
    turn_detection=VAD,
)


def a_session(**config: Any) -> Session:
    session = Session(CONFIG, random.Random(1))
    session.attach({"uplink_samples": 0}, 0)
    session.upstream_opened(1)
    session.upstream_event({"type": "session.updated"}, 2)
    return session


def an_answer(session: Session, stopped_ms: int = 3_000) -> None:
    """Speech stops, the answer begins 100 ms later and sounds 200 ms after that."""
    said = "input_audio_buffer."
    session.upstream_event({"type": f"{said}speech_started", "item_id": "p"}, stopped_ms - 900)
    session.upstream_event({"type": f"{said}speech_stopped", "item_id": "p"}, stopped_ms)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, stopped_ms + 100)
    audio = base64.b64encode(bytes(48_000)).decode()
    delta = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "a", "delta": audio}
    session.upstream_event(delta, stopped_ms + 300)


def turn_of(effects: list[Effect]) -> RecordTurn | None:
    return next((effect for effect in effects if isinstance(effect, RecordTurn)), None)


def test_the_page_says_when_the_first_sample_was_heard_and_the_stages_add_up_to_it() -> None:
    session = a_session()
    an_answer(session)
    started = {"type": "playout.started", "item_id": "a", "at_ms": 3_412.4}
    turn = turn_of(session.browser_message(started, 3_460))
    assert turn is not None
    assert (turn.silence_ms, turn.endpointing_ms, turn.first_delta_ms) == (500, 100, 200)
    assert (turn.playout_start_ms, turn.response_latency_ms) == (112, 912)
    assert turn.response_latency_ms == 500 + 100 + 200 + 112


def test_a_page_without_a_clock_is_believed_when_it_speaks() -> None:
    session = a_session()
    an_answer(session)
    turn = turn_of(session.browser_message({"type": "playout.started", "item_id": "a"}, 3_460))
    assert turn is not None
    assert turn.response_latency_ms == 960


def test_only_the_first_sample_of_an_answer_counts() -> None:
    session = a_session()
    an_answer(session)
    session.browser_message({"type": "playout.started", "item_id": "a", "at_ms": 3_400}, 3_400)
    later = {"type": "playout.started", "item_id": "a", "at_ms": 3_900}  # it ran dry and began again
    assert turn_of(session.browser_message(later, 3_900)) is None


def test_what_was_never_made_was_never_heard() -> None:
    session = a_session()
    started = {"type": "playout.started", "item_id": "a", "at_ms": 3_400}
    assert turn_of(session.browser_message(started, 3_400)) is None
    assert not TurnMarks("r", created_ms=1).heard(5, 6)


@pytest.mark.parametrize(
    ("told_ms", "kept_ms"),
    [(-1e9, 3_300), (1e9, 3_460 + MOST_AHEAD_MS), (3_700, 3_700)],
    ids=["before it was made", "far ahead", "in the headphones, a little later"],
)
def test_a_page_cannot_move_a_moment_out_of_its_bounds(told_ms: float, kept_ms: int) -> None:
    session = a_session()
    an_answer(session)
    turn = turn_of(
        session.browser_message({"type": "playout.started", "item_id": "a", "at_ms": told_ms}, 3_460)
    )
    assert turn is not None
    assert turn.response_latency_ms == 500 + kept_ms - 3_000


def test_typing_waits_for_no_silence() -> None:
    session = a_session()
    an_answer(session)
    session.browser_message({"type": "input.text", "text": "hello", "client_id": "c"}, 5_000)
    session.upstream_event({"type": "response.done", "response": {"id": "r", "status": "cancelled"}}, 5_050)
    session.upstream_event({"type": "response.created", "response": {"id": "r2"}}, 5_100)
    assert session.talk.marks["r2"].silence_ms is None
    assert session.talk.marks["r2"].input_ended_ms == 5_000


def test_round_trips_are_kept_with_the_session_and_told_once_a_minute() -> None:
    session = a_session()
    told: list[RecordEvent] = []
    for number, rtt_ms in enumerate([None, 20, 20, 20, 60, 20]):
        ping = {"type": "ping", "t": 1.0} | ({} if rtt_ms is None else {"rtt_ms": rtt_ms})
        told += [
            effect
            for effect in session.browser_message(ping, 100 * number)
            if isinstance(effect, RecordEvent)
        ]
    assert [(event.name, event.at_ms) for event in told] == [("connection", 400)]
    assert told[0].data["rtt_ms"] == 20
    [end] = [effect for effect in session.end("person_ended", 9_000) if isinstance(effect, RecordEnd)]
    assert (end.counters["rtt_ms"], end.counters["rtt_p95_ms"], end.counters["jitter_ms"]) == (20, 60, 5)


def test_a_session_whose_page_measured_nothing_claims_nothing() -> None:
    [end] = [effect for effect in a_session().end("person_ended", 9) if isinstance(effect, RecordEnd)]
    assert (end.counters["rtt_ms"], end.counters["jitter_ms"]) == (None, None)


def test_a_day_of_pings_takes_bounded_memory_and_is_told_every_minute() -> None:
    quality = LinkQuality()
    told = 0
    for at_ms in range(0, 86_400_000, 5_000):
        quality.take(30.0)
        told += quality.due(at_ms)
    assert len(quality.rtts_ms) <= 1_000
    assert told <= 86_400_000 // TOLD_EVERY_MS + 1
    assert quality.counters() == {"rtt_ms": 30, "rtt_p95_ms": 30, "jitter_ms": 0}
