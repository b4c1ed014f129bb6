"""Frames are cut as the library reads them, however the bytes come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from realtime.frames import BINARY, OTHER, TEXT, Cutter, head

MAX_BYTES = 300  # in the library's reading too
PAYLOADS = st.one_of(st.binary(max_size=8), st.integers(120, MAX_BYTES + 2).map(lambda size: b"\x5a" * size))


@st.composite
def messages(draw: st.DrawFn) -> list[Frame]:
    """One message, whole or in parts with a ping between them, or a control frame."""
    kind = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
    parts = draw(st.lists(PAYLOADS, min_size=1, max_size=3))
    if draw(st.integers(0, 4)) == 0:
        return [Frame(draw(st.sampled_from([Opcode.PING, Opcode.PONG])), draw(st.binary(max_size=125)))]
    frames = [
        Frame(kind if number == 0 else Opcode.CONT, part, number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    if len(frames) > 1 and draw(st.booleans()):
        frames.insert(1, Frame(Opcode.PING, b"there?"))
    return frames


def as_library(stream: bytes) -> tuple[list[tuple[Opcode, bytes, bool]], bool]:
    """What the library reads, and whether it is still content."""
    library = ServerProtocol(state=State.OPEN, max_size=MAX_BYTES)
    library.receive_data(stream)
    events = [(frame.opcode, bytes(frame.data), frame.fin) for frame in library.events_received()]  # type: ignore[union-attr]
    return events, library.parser_exc is None


def as_cut(chunks: list[bytes]) -> tuple[list[tuple[Opcode, bytes, bool]], bool]:
    """The same by the cutter, with the library for what it leaves."""
    library = ServerProtocol(state=State.OPEN, max_size=MAX_BYTES)
    cutter, read = Cutter(MAX_BYTES), []
    for chunk in chunks:
        for kind, data in cutter.cut(chunk):
            if kind != OTHER and library.state is State.OPEN:
                read.append((Opcode.TEXT if kind == TEXT else Opcode.BINARY, bytes(data), True))
            elif kind == OTHER:
                library.receive_data(data)
                read += [(frame.opcode, bytes(frame.data), frame.fin) for frame in library.events_received()]  # type: ignore[union-attr]
    return read, library.parser_exc is None


def in_chunks(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream in pieces."""
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[low:high] for low, high in itertools.pairwise(places)]


@settings(max_examples=200, deadline=None)
@given(st.lists(messages(), max_size=4), st.lists(st.integers(0, 1_000_000), max_size=6))
def test_frames_are_cut_as_the_library_reads_them(said: list[list[Frame]], cuts: list[int]) -> None:
    stream = b"".join(frame.serialize(mask=True) for frames in said for frame in frames)
    expected, content = as_library(stream)
    read, still_content = as_cut(in_chunks(stream, cuts))
    assert still_content == content
    assert read == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [(0x82, 0x05), (0xC2, 0x85), (0x83, 0x85), (0x80, 0x85)],
    ids=["not masked", "a reserved bit", "an unknown kind", "a continuation of nothing"],
)
def test_what_breaks_the_rules_is_left_to_the_library(first: int, second: int) -> None:
    broken = bytes((first, second)) + bytes(9)
    assert [kind for kind, _ in Cutter(MAX_BYTES).cut(broken)][:1] == [OTHER]
    _, content = as_cut([broken])
    assert not content


def test_a_message_begun_within_another_is_refused() -> None:
    begun = Frame(Opcode.BINARY, b"one", fin=False).serialize(mask=True)
    whole = Frame(Opcode.BINARY, b"two").serialize(mask=True)
    read, content = as_cut([begun + whole])
    assert read == [(Opcode.BINARY, b"one", False)]
    assert not content


def test_a_frame_that_is_too_long_is_passed_on_before_it_has_come() -> None:
    cutter = Cutter(1_000)
    announced = bytes((BINARY, 0xFF)) + (10_000_000).to_bytes(8, "big")
    assert cutter.cut(announced) == [(OTHER, announced)]
    assert cutter.cut(b"more") == [(OTHER, b"more")]


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_the_head_is_the_library_s(length: int) -> None:
    payload = bytes(length)
    assert head(BINARY, length) + payload == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert head(TEXT, length) + payload == Frame(Opcode.TEXT, payload).serialize(mask=False)
