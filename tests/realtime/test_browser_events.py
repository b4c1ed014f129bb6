"""What a page may say: limits to the byte, unknown things refused, and the protocol page says the same as the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import browser_events
from realtime.exceptions import BadMessage, BrowserError, TooLarge

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "browser-protocol.md"


def table(heading: str) -> dict[str, str]:
    """type -> fields of a table of the protocol page."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z.]+)` \| (.*?) \| ", section, re.MULTILINE)
    return dict(rows)


def test_the_protocol_page_lists_what_a_page_may_say_with_its_fields() -> None:
    rows = table("Browser to relay")
    assert set(rows) == set(browser_events.FROM_BROWSER)
    for kind, fields in browser_events.FROM_BROWSER.items():
        for name in fields:
            assert f"`{name}" in rows[kind], (kind, name)


def test_the_protocol_page_lists_what_the_relay_says() -> None:
    assert set(table("Relay to browser")) == set(browser_events.TO_BROWSER)


@pytest.mark.parametrize(
    ("size", "error"), [(9_600, None), (9_602, TooLarge), (2, None), (0, BadMessage), (3, BadMessage)]
)
def test_frames_are_checked_to_the_byte(size: int, error: type[Exception] | None) -> None:
    if error is None:
        browser_events.check_frame(bytes(size))
    else:
        with pytest.raises(error):
            browser_events.check_frame(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "7", '"hello"', "{", '{"type":"session.update"}', '{"type":"ping"}',
        '{"type":"ping","t":NaN}', "[" * 60_000,
        '{"type":"ping","t":true}', '{"type":"ping","t":1,"x":1}', '{"type":"interrupt","x":1}', '{"type":["ping"]}',
        '{"type":"PING","t":1}', '{"type":"ping ","t":1}', '{"type":"input.text","text":"","client_id":"c"}',
        '{"type":"input.text","text":7,"client_id":"c"}', '{"type":"hello","uplink_samples":-1}',
        '{"type":"hello","uplink_samples":1.5}', '{"type":"hello","uplink_samples":0,"played":{"item_id":"x"}}',
        '{"type":"session.configure","turn_detection":{"type":"magic"}}', '{"type":"session.configure","speed":9}',
        '{"type":"session.configure","instructions":"x"}', '{"type":"response.create"}',
    ],
)  # fmt: skip
def test_what_is_not_in_the_protocol_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        browser_events.parse(text)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('{"type":"dance"}', "unknown type"),
        ('{"type":"input.text","text":"x"}', "input.text: client_id is missing"),
        (
            '{"type":"input.text","text":"","client_id":"c"}',
            "input.text: text: a text of 1 to 4096 characters is needed",
        ),
        (
            '{"type":"session.configure","speed":9}',
            "session.configure: speed: a number from 0.25 to 1.5 is needed",
        ),
        (
            '{"type":"session.configure","turn_detection":{"type":"secret"}}',
            "session.configure: turn_detection: type: one of server_vad, semantic_vad, none is needed",
        ),
        ('{"type":"ping","t":1,"secret":1}', "ping: unknown field; known are t, rtt_ms"),
        ('{"type":"interrupt","secret":1}', "interrupt: unknown field; known are none"),
        (
            '{"type":"playout.position","item_id":"i","samples":0.5}',
            "playout.position: samples: a whole number from 0 to 2,073,600,000 is needed",
        ),
    ],
)
def test_a_refused_message_is_told_what_is_wrong_with_it_in_our_own_words(text: str, detail: str) -> None:
    with pytest.raises(BadMessage) as refused:
        browser_events.parse(text)
    assert str(refused.value) == detail


def test_messages_have_a_largest_size() -> None:
    fits = json.dumps({"type": "ping", "t": 1})
    assert browser_events.parse(fits + " " * (browser_events.MAX_MESSAGE_BYTES - len(fits)))["t"] == 1
    with pytest.raises(TooLarge):
        browser_events.parse(fits + " " * (browser_events.MAX_MESSAGE_BYTES - len(fits) + 1))


def test_typed_text_keeps_everything_but_what_a_database_refuses() -> None:
    said = browser_events.parse(
        json.dumps({"type": "input.text", "text": "[[[[[[[[[{x}\x00 é 🎤", "client_id": "c"})
    )
    assert said["text"] == "[[[[[[[[[{x} é 🎤"
    lone = browser_events.parse('{"type":"input.text","text":"a\\ud800b","client_id":"c"}')
    lone["text"].encode("utf-8")


def test_facts_of_a_page_are_such_as_every_database_keeps() -> None:
    text = (
        r'{"type":"hello","uplink_samples":0,"client":{"a\u0000b":"\ud800\u0000c","far":1e999,"near":-1e999,'
        r'"huge":1' + "0" * 400 + r',"rate":48000,"yes":true,"none":null,"list":[1]}}'
    )
    facts = browser_events.parse(text)["client"]
    assert facts == {"ab": "?c", "rate": 48000, "yes": True, "none": None}
    json.dumps(facts, allow_nan=False).encode()


@given(
    st.text(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps)
)
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        browser_events.parse(text)
    except BrowserError:
        pass


NAMES = [
    "text",
    "client_id",
    "item_id",
    "samples",
    "t",
    "played",
    "uplink_samples",
    "turn_detection",
    "speed",
    "muted",
]
SMALL = st.dictionaries(st.text(max_size=5), st.integers())
VALUES = st.none() | st.integers() | st.text(max_size=20) | st.booleans() | SMALL


@given(
    st.sampled_from(sorted(browser_events.FROM_BROWSER)),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)
def test_known_types_with_any_fields_give_a_message_or_a_named_error(
    kind: str, fields: dict[str, Any]
) -> None:
    try:
        said = browser_events.parse(json.dumps({"type": kind, **fields}))
    except BrowserError:
        return
    assert said["type"] == kind
    assert set(said) - {"type"} <= set(browser_events.FROM_BROWSER[kind])
