"""An answer is cut while the page cannot be told: it is told when it comes back, and says what it played."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest

from realtime.effects import Effect, RecordMessage, SendBrowser, SendUpstream
from realtime.session import Session
from tests.realtime.test_session_limits import QUIET, ready_session, run_until, said

ANSWER_MS, HEARD_MS = 4_000, 1_000
HOLDS = {"item_id": "a", "samples": ANSWER_MS * 24}


def answering(*, gone_ms: int | None = 1_000) -> Session:
    """An answer of four seconds, of which one was heard when the connection was lost; the person speaks as it is."""
    session = ready_session(dataclasses.replace(QUIET, resume_grace_ms=60_000))
    up(session, "response.created", 10, response={"id": "r"})
    where = {"response_id": "r", "item_id": "a"}
    up(session, "response.output_audio_transcript.delta", 11, **where, delta="one two three four")
    up(
        session,
        "response.output_audio.delta",
        12,
        **where,
        delta=base64.b64encode(bytes(ANSWER_MS * 48)).decode(),
    )
    page(session, "playout.position", 1_000, item_id="a", samples=HEARD_MS * 24, buffered_ms=0)
    if gone_ms is not None:
        session.browser_gone(gone_ms)
    return session


def up(session: Session, kind: str, now_ms: int, **fields: Any) -> list[Effect]:
    return session.upstream_event({"type": kind, **fields}, now_ms)


def page(session: Session, kind: str, now_ms: int, **fields: Any) -> list[Effect]:
    return session.browser_message({"type": kind, **fields}, now_ms)


def speak_over(session: Session, now_ms: int) -> list[Effect]:
    return up(session, "input_audio_buffer.speech_started", now_ms, item_id="p", audio_start_ms=900)


def back(session: Session, now_ms: int, **hello: Any) -> list[Effect]:
    return session.attach({"uplink_samples": 0, **hello}, now_ms)


def kinds(effects: list[Effect]) -> list[str]:
    return [effect.message["type"] for effect in effects if isinstance(effect, SendBrowser)]


def kept(effects: list[Effect]) -> RecordMessage:
    (record,) = [e for e in effects if isinstance(e, RecordMessage) and e.item_id == "a"]
    return record


@pytest.mark.parametrize("back_ms", [1_300, 30_000], ids=["at once", "after our own estimate"])
def test_a_page_that_comes_back_is_told_that_its_item_was_cut(back_ms: int) -> None:
    session = answering()
    speak_over(session, 1_100)
    run_until(session, back_ms - 1)
    told = back(session, back_ms, received=HOLDS, played=HOLDS)
    assert said(told, "audio.clear") == [{"type": "audio.clear", "item_id": "a"}]
    assert kinds(told).index("ready") < kinds(told).index("audio.clear")
    assert not next(
        e for e in told if isinstance(e, SendBrowser) and e.message["type"] == "audio.clear"
    ).overtakes
    assert not said(told, "audio.begin")  # nothing of it is sent again


def test_an_item_that_was_not_cut_is_not_cleared() -> None:
    session = answering()
    assert not said(back(session, 1_300, received=HOLDS, played=HOLDS), "audio.clear")


def test_a_page_that_was_reloaded_has_nothing_to_stop() -> None:
    session = answering()
    speak_over(session, 1_100)
    assert not said(back(session, 1_300), "audio.clear")


@pytest.mark.parametrize("played_ms", [500, 3_500])
def test_what_the_page_played_meanwhile_corrects_our_estimate(played_ms: int) -> None:
    session = answering()
    speak_over(session, 1_100)
    run_until(session, 29_999)
    back(session, 30_000, received=HOLDS)
    effects = page(session, "playout.cleared", 30_050, item_id="a", samples=played_ms * 24)
    record = kept(effects)
    assert (record.status, record.heard_ms, record.generated_ms) == ("interrupted", played_ms, ANSWER_MS)
    assert said(effects, "transcript.done")[0]["status"] == "interrupted"
    assert not [e for e in effects if isinstance(e, SendUpstream)]  # the upstream was told the estimate, once
    assert not page(session, "playout.cleared", 30_100, item_id="a", samples=1)  # and the word counts once


def test_a_page_that_played_all_of_it_heard_all_of_it() -> None:
    session = answering()
    up(session, "response.done", 1_050, response={"id": "r", "status": "completed"})
    speak_over(session, 1_100)
    run_until(session, 29_999)
    back(session, 30_000, received=HOLDS)
    record = kept(page(session, "playout.cleared", 30_050, item_id="a", samples=ANSWER_MS * 24))
    assert (record.status, record.heard_ms, record.heard_chars) == ("completed", ANSWER_MS, None)


def test_a_page_that_is_only_slow_is_believed_late() -> None:
    session = answering(gone_ms=None)
    assert said(speak_over(session, 1_100), "audio.clear")
    estimated = kept(run_until(session, 2_000))
    assert estimated.heard_ms == HEARD_MS + 100
    assert kept(page(session, "playout.cleared", 2_100, item_id="a", samples=1_150 * 24)).heard_ms == 1_150


def test_an_answer_in_time_is_the_last_word() -> None:
    session = answering(gone_ms=None)
    speak_over(session, 1_100)
    assert kept(page(session, "playout.cleared", 1_150, item_id="a", samples=1_120 * 24)).heard_ms == 1_120
    assert not page(session, "playout.cleared", 1_200, item_id="a", samples=3_000 * 24)
