"""The upstream is not trusted either: pace, length of an answer, number of kinds, ten thousand events of nonsense."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from realtime import browser_events, upstream_events
from realtime.conf import RelayConfig
from realtime.effects import RecordEvent, SendBrowser, SendUpstream
from realtime.exceptions import UpstreamLost
from realtime.session import ENDED, MAX_IGNORED_TYPES, READY, Session

HIDDEN = "canary-hidden-instructions-" + "x" * 60  # longer than ids may be: those are passed on
CONFIG = RelayConfig(
    upstream_url="ws://127.0.0.1:1/v1/realtime", model="m", voice="marin", instructions=HIDDEN,
    turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    tools=({"type": "function", "name": "canary-tool", "parameters": {}},),
)  # fmt: skip
HELLO = {"type": "hello", "uplink_samples": 0}
SECOND = base64.b64encode(bytes(48_000)).decode()


def talking(**changes: Any) -> Session:
    """A session that is ready, with an answer under way."""
    session = Session(CONFIG, random.Random(1), "s")
    session.attach(HELLO, 0)
    session.upstream_opened(0)
    session.upstream_event({"type": "session.updated"}, 0)
    session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 0)
    assert session.phase == READY
    return session


def delta(text: str = "a") -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "i", "response_id": "r", "delta": text}


def test_two_hundred_events_a_second_are_borne_for_ever() -> None:
    session = talking()
    for number in range(20_000):
        session.upstream_event(delta(), number * 5)
        if session.phase == ENDED:
            break
        if number % 1_000 == 0:
            session.browser_message({"type": "ping", "t": 1}, number * 5)
    assert session.phase == READY


def test_a_flood_of_events_that_we_act_on_ends_the_session() -> None:
    session = talking()
    effects = [effect for _ in range(5_000) for effect in session.upstream_event(delta(), 1_000)]
    assert session.phase == ENDED
    assert "upstream.too_fast" in [effect.name for effect in effects if isinstance(effect, RecordEvent)]


def test_kinds_of_events_that_we_do_not_know_fill_no_memory() -> None:
    session = talking()
    for number in range(5_000):
        session.upstream_event({"type": f"made.up.{number}"}, 0)
    assert len(session.ignored) <= MAX_IGNORED_TYPES + 1
    assert session.ignored.total() == 5_000
    assert session.phase == READY


@pytest.mark.parametrize("word", ["a\x00", "\ud800", "a\nb", "said to us", "x" * 81, "", 7, [], {}, None])
def test_a_word_that_is_none_is_neither_kept_nor_counted_by_name(word: Any) -> None:
    session = talking()
    done = {"id": "r", "status": word, "status_details": {"reason": word, "error": {"code": word}}}
    effects = session.upstream_event({"type": "error", "error": {"code": word, "type": word}}, 1)
    effects += session.upstream_event({"type": "response.done", "response": done}, 2)
    if isinstance(word, str):
        session.upstream_event({"type": word}, 3)
        assert set(session.ignored) == {"other"}
    effects += session.end("revoked", 4)
    [failed] = [
        e.message for e in effects if isinstance(e, SendBrowser) and e.message["type"] == "response.done"
    ]
    assert (failed["status"], failed["reason"]) == ("failed", "failed")
    kept = {effect.name: effect.data for effect in effects if isinstance(effect, RecordEvent)}
    assert kept["upstream.error"] == {"code": ""}
    assert kept["response.done"] == {"status": "failed"}


def test_an_answer_that_is_far_too_long_is_cut_and_the_session_goes_on() -> None:
    session = talking()
    audio = {"type": "response.output_audio.delta", "item_id": "i", "response_id": "r", "delta": SECOND}
    effects, sent = [], 0
    for second in range(400):
        effects += session.upstream_event(audio, second * 1_000)
        sent = min(second + 1, 300) * 24_000
        session.browser_message({"type": "playout.position", "item_id": "i", "samples": sent}, second * 1_000)
    codes = [effect.message.get("code") for effect in effects if isinstance(effect, SendBrowser)]
    assert codes.count("answer.too_long") == 1
    cancels = [e for e in effects if isinstance(e, SendUpstream) and e.event["type"] == "response.cancel"]
    assert len(cancels) == 1
    assert session.phase == READY


# ---- nonsense ------------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 1e308, 0.5, "", "x", "r", "i", "\x00", "\ud800", "💥" * 50,
    "A" * 300_000,
    HIDDEN, SECOND, "====", [], {}, [[]], {"id": "r"}, {"id": None}, {"type": "message", "id": "i"},
    {"type": "function_call", "name": "x", "call_id": "c", "arguments": "{", "status": "completed"},
    {"error": {"code": HIDDEN}}, {"type": "server_error", "message": HIDDEN, "code": HIDDEN, "event_id": "ask_1"},
]  # fmt: skip
FIELDS = (
    *(
        "event_id",
        "item_id",
        "response_id",
        "delta",
        "transcript",
        "text",
        "item",
        "response",
        "error",
        "session",
    ),
    *("audio_start_ms", "audio_end_ms", "content_index", "previous_item_id", "usage", "status", "arguments"),
)
TYPES = (
    *Session.UPSTREAM,
    "session.created",
    "rate_limits.updated",
    "conversation.item.added",
    "x" * 500,
    "",
)


def event_of(rng: random.Random) -> dict[str, Any]:
    event: dict[str, Any] = {"type": rng.choice(TYPES)}
    for name in rng.sample(FIELDS, rng.randint(0, 8)):
        event[name] = rng.choice(VALUES)
    if rng.random() < 0.5:  # near to a good one, so that it gets far
        event |= {
            "item_id": rng.choice("ijk"),
            "response_id": rng.choice("rst"),
            "delta": rng.choice(["a", SECOND]),
        }
        event["response"] = {"id": rng.choice("rst"), "status": rng.choice(["completed", "failed", 7, None])}
    return event


@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_events_of_nonsense_break_nothing_and_show_nothing_hidden(seed: int) -> None:
    rng = random.Random(seed)
    session, canary = talking(), talking()
    now_ms = 0
    for number in range(1_000):
        now_ms += rng.randint(0, 20)
        effects = session.upstream_event(event_of(rng), now_ms)
        for effect in effects:
            if isinstance(effect, SendBrowser):
                said = json.dumps(effect.message)
                assert effect.message["type"] in browser_events.TO_BROWSER
                assert "canary-tool" not in said
                # Text of the upstream is shown as text; what any other of its fields says is not passed on.
                if effect.message["type"] not in ("transcript.delta", "transcript.done"):
                    assert HIDDEN not in said
        if session.phase == ENDED:
            session, now_ms = talking(), 0
        if number % 100 == 0:
            [shown] = [e for e in canary.upstream_event(delta("fine"), number) if isinstance(e, SendBrowser)
                       and e.message["type"] == "transcript.delta"]  # fmt: skip
            assert shown.message["text"] == "fine"
    session.end("revoked", now_ms)
    assert session.phase == ENDED


@pytest.mark.parametrize(
    "raw",
    ["", "[]", "7", "null", '{"type": 7}', "{", "[" * 100_000, "9" * 5_000, '{"type": "x"', b"\xff\xfe"],
)
def test_what_is_no_event_is_malformed_and_nothing_else(raw: str | bytes) -> None:
    with pytest.raises(upstream_events.Malformed):
        upstream_events.parse(raw)


def test_an_upstream_that_is_gone_at_any_moment_leaves_a_session_that_can_end() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        session = talking()
        for _ in range(rng.randint(0, 10)):
            session.upstream_event(event_of(rng), 1)
        session.upstream_closed(UpstreamLost(), 2)
        session.end("revoked", 3)
        assert session.phase == ENDED
