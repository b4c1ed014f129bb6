"""The short ways of audio do what the long ones do: reading a delta, passing it on, base64, handing a message over."""

from __future__ import annotations

import base64
import contextlib
import json
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime import audio, browser_events, upstream_events
from realtime.browser_events import FROM_BROWSER
from realtime.conf import RelayConfig
from realtime.effects import SendBrowserAudio
from realtime.exceptions import BrowserError
from realtime.playout import CHUNK_SAMPLES, Playout
from realtime.session import Session

BUSY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PCM = bytes(range(256)) * 4
DELTA = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": base64.b64encode(PCM).decode(),
}
TEXT = json.dumps(DELTA, separators=(",", ":"))
PIECES = st.sampled_from(
    [
        '"',
        "\\",
        "\\u0022",
        ",",
        "}",
        "{",
        " ",
        "=",
        "A",
        "delta",
        '"delta":"AAAA"',
        '"item_id":"other"',
        "é",
        "\n",
    ]
)


def read_slowly(raw: bytes) -> tuple[Any, ...] | None:
    """What the parser makes of it: type, response, item and speech."""
    try:
        event = upstream_events.parse(raw)
        pcm = audio.decode_base64(event["delta"])
        return event["type"], event["response_id"], event["item_id"], pcm
    except (ValueError, KeyError, TypeError):
        return None


def test_a_delta_as_the_provider_writes_it_is_read_without_its_json() -> None:
    assert upstream_events.speech_of(TEXT.encode()) == ("resp_1", "item_1", PCM)


def test_other_events_are_left_to_the_parser() -> None:
    for changed in (
        {"type": "response.output_audio.done"},
        {"delta": "AAA"},
        {"delta": None},
        {"item_id": ""},
    ):
        raw = json.dumps({**DELTA, **changed}, separators=(",", ":")).encode()
        assert upstream_events.speech_of(raw) is None


def test_a_field_after_the_audio_is_left_to_the_parser() -> None:
    raw = json.dumps({**DELTA, "obfuscation": "abc"}, separators=(",", ":")).encode()
    assert upstream_events.speech_of(raw) is None


@BUSY_MACHINE
@given(st.integers(0, len(TEXT)), st.integers(0, 12), PIECES)
def test_what_is_read_without_json_is_what_the_parser_reads(at: int, drop: int, piece: str) -> None:
    raw = (TEXT[:at] + piece + TEXT[at + drop :]).encode()
    quickly = upstream_events.speech_of(raw)
    assert quickly is None or ("response.output_audio.delta", *quickly) == read_slowly(raw)


@BUSY_MACHINE
@given(st.binary(max_size=40), st.integers(0, 60), st.sampled_from(["", "=", "A", "\n", "-", '"', "é"]))
def test_base64_is_read_alike_with_and_without_the_accelerator(pcm: bytes, at: int, piece: str) -> None:
    text = base64.b64encode(pcm).decode()
    text = text[:at] + piece + text[at + 1 :] if piece else text

    def read(decode: Any) -> bytes | None:
        try:
            return bytes(decode(text))
        except ValueError:
            return None

    strictly = read(audio.decode_strictly)
    assert read(audio.decode_quickly) in (strictly, None)  # what it refuses is given to the strict one
    if strictly is not None and len(strictly) % 2 == 0:
        assert audio.decode_base64(text) == strictly
    assert bytes(audio.encode_base64(pcm)) == base64.b64encode(pcm)


@BUSY_MACHINE
@given(st.integers(0, 2**32))
def test_speech_that_flows_is_sent_as_speech_that_waits_would_be(seed: int) -> None:
    walk = random.Random(seed)
    quick, slow = (Playout(ahead_samples=CHUNK_SAMPLES * 3, cap_bytes=CHUNK_SAMPLES * 20) for _ in range(2))
    for _ in range(40):
        item = walk.choice(["a", "a", "a", "b"])
        kind = walk.randrange(10)
        if kind < 6:
            pcm = bytes([walk.randrange(256)]) * 2 * walk.choice([1, 960, CHUNK_SAMPLES, CHUNK_SAMPLES + 1])
            taken = slow.add(item, pcm)
            waited = slow.due()
            if quick.flow(item, pcm):
                assert taken
                assert waited == [SendBrowserAudio(pcm)]
            else:
                assert quick.add(item, pcm) == taken
                assert quick.due() == waited
        elif kind < 8:
            heard = walk.randrange(CHUNK_SAMPLES * 6)
            for playout in (quick, slow):
                playout.position(item, heard)
            assert quick.due() == slow.due()
        elif kind == 8:
            for playout in (quick, slow):
                playout.paused = False
                playout.finish(item)
            assert quick.due() == slow.due()
        else:
            walk.choice(
                [lambda: [p.clear() for p in (quick, slow)], lambda: [p.rewind(None) for p in (quick, slow)]]
            )()
    assert quick.items == slow.items


def talking() -> Session:
    """A session with a page and a ready upstream that began an answer."""
    session = Session(RelayConfig("ws://127.0.0.1:1/", "model", "voice", ""), random.Random(1))
    session.attach({"type": "hello", "uplink_samples": 0}, 0)
    session.upstream_opened(1)
    session.upstream_event({"type": "session.updated"}, 2)
    session.upstream_event({"type": "response.created", "response": {"id": "resp_1"}}, 3)
    return session


def test_a_session_says_the_same_to_speech_that_was_read_either_way() -> None:
    by_json, without = talking(), talking()
    for number in range(60):  # past the window, so that both ways of passing it on are taken
        now_ms = 10 + number
        pcm = bytes([number]) * 9_600
        event = {**DELTA, "delta": base64.b64encode(pcm).decode()}
        long_way = by_json.upstream_event(event, now_ms)
        short_way = without.upstream_speech("resp_1", "item_1", pcm, now_ms)
        assert long_way == ([SendBrowserAudio(pcm)] if short_way is None else short_way)
        assert by_json.deadlines == without.deadlines
    assert by_json.counters() == without.counters()


POSITION = '{"type":"playout.position","item_id":"item_1","samples":4800,"buffered_ms":81.25}'


def test_a_position_as_our_page_writes_it_is_read_without_its_json() -> None:
    assert browser_events.position_of(POSITION) == ("item_1", 4800)


@BUSY_MACHINE
@given(
    st.integers(0, len(POSITION)),
    st.integers(0, 12),
    st.one_of(PIECES, st.sampled_from(["0", "-1", "1e3", "99999999999", "\u0663", ".5", '"samples":1,'])),
)
def test_a_position_read_without_json_is_what_the_parser_reads(at: int, drop: int, piece: str) -> None:
    text = POSITION[:at] + piece + POSITION[at + drop :]
    quickly = browser_events.position_of(text)
    if quickly is not None:
        said = browser_events.parse(text)
        assert quickly == (said["item_id"], said["samples"])
    else:
        with contextlib.suppress(BrowserError):
            browser_events.parse(text)


def test_a_session_does_the_same_for_a_position_that_was_read_either_way() -> None:
    by_json, without = talking(), talking()
    for session in (by_json, without):
        for number in range(60):  # past the window, so that positions make room
            session.upstream_speech("resp_1", "item_1", bytes([number]) * 9_600, 10 + number)
    for number in range(100):
        said = {"type": "playout.position", "item_id": "item_1", "samples": number * 2_400, "buffered_ms": 80}
        now_ms = 100 + number * 100
        assert by_json.browser_message(said, now_ms) == without.browser_position(
            "item_1", number * 2_400, now_ms
        )
        assert by_json.deadlines == without.deadlines
    assert by_json.counters() == without.counters()


def test_each_message_of_a_page_has_its_handler() -> None:
    assert set(Session.BROWSER) == set(FROM_BROWSER) - {"hello"}
