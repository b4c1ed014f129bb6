"""The deadlines and limits of a session, by a clock of the test's own."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from realtime.conf import RelayConfig
from realtime.effects import (
    CloseBrowser,
    CloseUpstream,
    Effect,
    End,
    OpenUpstream,
    RecordEnd,
    RecordMessage,
    SendBrowser,
    SendUpstream,
)
from realtime.exceptions import BadMessage, TooFast, UpstreamLost, UpstreamRefused
from realtime.session import Session

CONFIG = RelayConfig(
    upstream_url="ws://127.0.0.1:1/v1/realtime",
    model="m",
    voice="marin",
    instructions="hidden",
    turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
)
QUIET = dataclasses.replace(CONFIG, heartbeat_ms=10**9)


def ready_session(config: RelayConfig = CONFIG, now_ms: int = 0) -> Session:
    """A session that listens."""
    session = Session(config, random.Random(1), "s")
    session.attach({"uplink_samples": 0}, now_ms)
    session.upstream_opened(now_ms)
    session.upstream_event({"type": "session.updated"}, now_ms)
    return session


def run_until(session: Session, until_ms: int) -> list[Effect]:
    """Let time pass, as a relay does."""
    effects: list[Effect] = []
    while (deadline := session.deadline_ms()) is not None and deadline <= until_ms:
        effects += session.tick(deadline)
    return effects


def said(effects: list[Effect], kind: str) -> list[dict[str, Any]]:
    return [e.message for e in effects if isinstance(e, SendBrowser) and e.message["type"] == kind]


def ends(effects: list[Effect]) -> list[End]:
    return [e for e in effects if isinstance(e, End)]


def test_a_page_that_takes_nothing_holds_no_answer() -> None:
    session = ready_session(QUIET)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    for number in range(300):  # a minute of speech, of which the window lets four seconds go
        session.upstream_speech("r", "i", bytes(9_600), number)
    session.browser_position("i", 24_000, 1_000)
    assert session.talk.playout.held_bytes > 2_000_000
    effects = run_until(session, 1_000 + QUIET.stall_ms)
    assert [e.close_code for e in effects if isinstance(e, CloseBrowser)] == [4508]
    assert session.talk.playout.held_bytes == 0
    assert not session.talk.playout.cleared
    kept = [e for e in effects if isinstance(e, RecordMessage)][-1]
    assert (kept.status, kept.heard_ms) == ("interrupted", 1_000)
    upstream = [e.event["type"] for e in effects if isinstance(e, SendUpstream)]
    assert "response.cancel" in upstream
    assert "conversation.item.truncate" in upstream
    assert not ends(effects)  # the talk waits for its page


def warned(effects: list[Effect]) -> list[str]:
    return [warning["code"] for warning in said(effects, "warning")]


def test_an_answer_has_time_for_its_first_word_and_less_within_what_it_says() -> None:
    session = ready_session(QUIET)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    assert "answer.slow" not in warned(run_until(session, 19_999))
    session.upstream_speech("r", "i", bytes(9_600), 19_999)
    assert "answer.slow" not in warned(run_until(session, 29_998))
    effects = run_until(session, 29_999)
    assert warned(effects) == ["answer.slow"]
    assert "response.cancel" in [e.event["type"] for e in effects if isinstance(e, SendUpstream)]


def test_an_answer_that_never_says_a_word_is_given_up() -> None:
    session = ready_session(QUIET)
    typed = {"type": "input.text", "text": "Is anybody there?", "client_id": "c1"}
    session.browser_message(typed, 0)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    effects = run_until(session, 20_000)
    assert [error["code"] for error in said(effects, "error")] == ["upstream.answer_failed"]
    assert [e.status for e in effects if isinstance(e, RecordMessage)] == ["unanswered"]


def test_what_waits_behind_an_answer_that_says_nothing_is_asked_for_and_not_given_up() -> None:
    session = ready_session(dataclasses.replace(QUIET, interruptible=False))
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    session.upstream_event({"type": "input_audio_buffer.committed", "item_id": "u"}, 1)
    effects = run_until(session, 20_000)
    assert not said(effects, "error")
    assert warned(effects) == ["answer.slow"]
    assert "response.create" in [e.event["type"] for e in effects if isinstance(e, SendUpstream)]


def test_an_answer_of_which_anything_comes_is_not_stuck() -> None:
    session = ready_session(QUIET)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    event = {"type": "response.function_call_arguments.delta", "response_id": "r", "delta": "{"}
    effects: list[Effect] = []
    for at_ms in (15_000, 30_000, 45_000):
        effects += session.upstream_event(event, at_ms) + run_until(session, at_ms + 15_000)
    assert not said(effects, "error")
    session.upstream_event({**event, "response_id": "another"}, 64_000)
    assert said(run_until(session, 65_000), "error")


def test_a_page_that_says_again_and_again_what_it_played_before_takes_nothing() -> None:
    session = ready_session(QUIET)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    for number in range(60):
        session.upstream_speech("r", "i", bytes(9_600), number)
    session.upstream_event({"type": "response.done", "response": {"id": "r", "status": "completed"}}, 60)
    session.browser_position("i", 24_000, 1_000)
    effects: list[Effect] = []
    for at_ms in range(1_100, 20_000, 100):
        effects += run_until(session, at_ms)
        session.browser_position("i", 24_000, at_ms)
    assert [e.close_code for e in effects if isinstance(e, CloseBrowser)] == [4508]


def test_reports_of_what_is_not_played_keep_no_session_open() -> None:
    session = ready_session(QUIET)
    effects: list[Effect] = []
    for at_ms in range(0, 95_000, 1_000):
        effects += run_until(session, at_ms)
        session.browser_position("nothing", 24_000, at_ms)
    assert [end.reason for end in ends(effects)] == ["idle"]


def test_a_page_without_a_sign_of_life_is_dead_in_15_seconds_but_the_session_is_not() -> None:
    session = ready_session()
    effects = run_until(session, 15_000)
    assert CloseBrowser(4408) in effects
    assert not ends(effects)
    assert not session.attached


def test_a_page_that_does_not_come_back_ends_the_session_after_the_grace_period() -> None:
    session = ready_session()
    session.browser_gone(1_000)
    assert not ends(run_until(session, 60_999))
    (end,) = ends(run_until(session, 61_000))
    assert end.reason == "browser_gone"


def test_silence_is_warned_of_and_then_ended() -> None:
    session = ready_session(QUIET)
    (warning,) = said(run_until(session, 60_000), "warning")
    assert (warning["code"], warning["ends_in_ms"]) == ("session.ending", 30_000)
    effects = run_until(session, 90_000)
    assert ends(effects) == [End("idle", 4408)]
    assert said(effects, "ended")[0]["reason"] == "idle"


def test_a_word_after_the_warning_keeps_the_session() -> None:
    session = ready_session(QUIET)
    run_until(session, 60_000)
    effects = session.upstream_event({"type": "input_audio_buffer.speech_started", "item_id": "u"}, 61_000)
    assert said(effects, "warning")[0]["code"] == "session.stay"
    assert not ends(run_until(session, 120_000))


def test_the_longest_call_is_warned_of_and_then_ended() -> None:
    session = ready_session(dataclasses.replace(QUIET, idle_ms=10**9))
    (warning,) = said(run_until(session, 840_000), "warning")
    assert warning["ends_in_ms"] == 60_000
    assert ends(run_until(session, 900_000)) == [End("time_limit", 4440)]


def test_a_configuration_that_is_not_confirmed_fails_loudly() -> None:
    session = Session(CONFIG, random.Random(1), "s")
    session.attach({"uplink_samples": 0}, 0)
    session.upstream_opened(0)
    effects = run_until(session, 8_000)
    assert said(effects, "error")[0]["code"] == "upstream.timeout"
    assert ends(effects)[0].close_code == 4504


def refusal_of(effects: list[Effect]) -> dict[str, Any]:
    """The upstream's error for the configuration that it was sent."""
    (event_id,) = [
        e.event["event_id"]
        for e in effects
        if isinstance(e, SendUpstream) and e.event["type"] == "session.update"
    ]
    return {"type": "error", "error": {"code": "unknown_parameter", "event_id": event_id}}


@pytest.mark.parametrize("asks_how_sure", [True, False])
def test_a_configuration_that_is_refused_fails_loudly(asks_how_sure: bool) -> None:
    session = Session(dataclasses.replace(CONFIG, asks_how_sure=asks_how_sure), random.Random(1), "s")
    session.attach({"uplink_samples": 0}, 0)
    effects = session.upstream_opened(0)
    if asks_how_sure:  # that may be the reason: once more without
        effects = session.upstream_event(refusal_of(effects), 5)
        assert not said(effects, "error")
    effects = session.upstream_event(refusal_of(effects), 10)
    assert said(effects, "error")[0]["code"] == "upstream.config"
    assert ends(effects)[0].close_code == 4502


def test_a_refused_change_of_a_live_session_is_a_warning() -> None:
    session = ready_session()
    change = {"type": "session.configure", "turn_detection": {"type": "semantic_vad", "eagerness": "low"}}
    (update,) = [e.event for e in session.browser_message(change, 1) if isinstance(e, SendUpstream)]
    assert update["session"]["audio"]["input"]["turn_detection"]["eagerness"] == "low"
    error = {"type": "error", "error": {"code": "invalid_value", "event_id": update["event_id"]}}
    effects = session.upstream_event(error, 2)
    assert said(effects, "warning")[0]["code"] == "configure.refused"
    assert not ends(effects)


@pytest.mark.parametrize(("retry_after_s", "waits"), [(7.0, True), (30.0, False)])
def test_retry_after_is_honoured_up_to_ten_seconds(retry_after_s: float, waits: bool) -> None:
    session = Session(CONFIG, random.Random(1), "s")
    session.attach({"uplink_samples": 0}, 0)
    effects = session.upstream_closed(UpstreamRefused(429, retry_after_s), 10)
    if waits:
        assert OpenUpstream(7_000) in effects
        session.upstream_closed(UpstreamRefused(429, retry_after_s), 20)
        effects = session.upstream_closed(UpstreamRefused(429, retry_after_s), 30)
    (error,) = said(effects, "error")
    assert (error["code"], error["retry_after"]) == ("upstream.rate_limited", retry_after_s)
    assert ends(effects)[0].close_code == 4429


def test_dialling_again_backs_off_and_gives_up() -> None:
    session = Session(CONFIG, random.Random(1), "s")
    session.attach({"uplink_samples": 0}, 0)
    waits = []
    effects: list[Effect] = []
    while not ends(effects):
        effects = session.upstream_closed(UpstreamRefused(503), 10)
        waits += [e.after_ms for e in effects if isinstance(e, OpenUpstream)]
    assert len(waits) == CONFIG.reconnect_tries
    assert all(0 <= wait <= min(8_000, 250 * 2 ** (n + 1)) for n, wait in enumerate(waits))


def test_nobody_pays_for_a_new_upstream_while_no_page_is_there() -> None:
    session = ready_session()
    session.browser_gone(10)
    effects = session.upstream_closed(UpstreamLost(1011), 20)
    assert not [e for e in effects if isinstance(e, OpenUpstream)]
    assert ends(effects)[0].reason == "browser_gone"


def test_many_malformed_events_mean_a_broken_upstream_and_a_few_do_not() -> None:
    session = ready_session()
    for number in range(20):
        assert not [e for e in session.upstream_malformed(number) if isinstance(e, CloseUpstream)]
    assert ends(session.upstream_malformed(21))


def test_messages_have_a_pace() -> None:
    session = ready_session()
    for _ in range(20):
        session.browser_message({"type": "interrupt"}, 0)
    with pytest.raises(TooFast):
        session.browser_message({"type": "interrupt"}, 0)
    session.browser_message({"type": "playout.position", "item_id": "x", "samples": 0}, 0)


def test_hello_comes_once_and_a_text_session_takes_no_audio() -> None:
    session = ready_session()
    with pytest.raises(BadMessage):
        session.browser_message({"type": "hello", "uplink_samples": 0}, 0)
    text = ready_session(dataclasses.replace(CONFIG, modality="text", turn_detection=None))
    with pytest.raises(BadMessage):
        text.browser_audio(bytes(1_920), 0)


def test_the_page_is_told_nothing_of_what_is_hidden() -> None:
    session = Session(CONFIG, random.Random(1), "s")
    effects = session.attach({"uplink_samples": 0}, 0) + session.upstream_opened(0)
    effects += session.upstream_event({"type": "session.updated", "session": {"instructions": "hidden"}}, 0)
    assert "hidden" not in str([e for e in effects if isinstance(e, SendBrowser)])


def test_an_end_is_kept_with_its_reason_and_counters() -> None:
    session = ready_session()
    session.browser_audio(bytes(1_920), 5)
    (record,) = [e for e in session.end("revoked", 10) if isinstance(e, RecordEnd)]
    assert record.reason == "revoked"
    assert record.counters["audio_in_ms"] == 40
    assert session.end("idle", 11) == []


def test_an_answer_has_less_time_once_it_has_begun() -> None:
    def is_slow(session: Session, at_ms: int) -> bool:
        return any(m["code"] == "answer.slow" for m in said(run_until(session, at_ms), "warning"))

    session = ready_session(dataclasses.replace(QUIET, modality="text"))
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    item = {"id": "i", "type": "message"}
    session.upstream_event({"type": "response.output_item.added", "response_id": "r", "item": item}, 0)
    word = {"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "delta": "Well"}
    session.upstream_event(word, CONFIG.first_word_ms - 1)
    begun_ms = CONFIG.first_word_ms - 1
    assert not is_slow(session, begun_ms + CONFIG.stuck_response_ms - 1)
    assert is_slow(session, begun_ms + CONFIG.stuck_response_ms)
