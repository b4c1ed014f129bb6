"""A call of many hours: what a session holds of it is its messages, and nothing else that grows."""

from __future__ import annotations

import base64
import random
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from realtime.conf import RelayConfig
from realtime.effects import Effect, RunTool, SendBrowser, SendUpstreamAudio, WarmUpstream
from realtime.session import READY, Session
from realtime.transcript import TOLD_MESSAGES

WARM_UP, TURNS = 300, 1_000  # what is bounded is full after the first
SPEECH = base64.b64encode(bytes(4_800)).decode()  # 100 ms
FRAME = bytes(1_920)  # 40 ms of the microphone
# What the person's messages are made of. Everything else that is found in a session is to stay as it is.
MESSAGES = {"talk.transcript.items"}


@dataclass
class Call:
    """A session, with an upstream and a page that do what they ought to."""

    session: Session
    now_ms: int = 0
    clears: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    warming: bool = False
    seeds: int = 0  # that the next upstream was told

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendBrowser({"type": "audio.clear", "item_id": item_id}, _):
                    self.clears.append(item_id)
                case RunTool(_, call_id, _):
                    self.functions.append(call_id)
                case WarmUpstream(events):
                    self.warming, self.seeds = True, len(events) - 1

    def hears(self, kind: str, **fields: Any) -> None:
        """The upstream says something."""
        self.do(self.session.upstream_event({"type": kind, "event_id": "e", **fields}, self.now_ms))

    def says(self, kind: str, **fields: Any) -> None:
        """The page says something."""
        self.do(self.session.browser_message({"type": kind, **fields}, self.now_ms))

    def passes(self, ms: int) -> None:
        """Time, with a microphone that is open."""
        until_ms = self.now_ms + ms
        while self.now_ms < until_ms:
            self.now_ms += 40
            effects = self.session.browser_audio(FRAME, self.now_ms)
            assert any(isinstance(effect, SendUpstreamAudio) for effect in effects)
            self.do(effects)
            if self.now_ms >= (self.session.deadline_ms() or self.now_ms + 1):
                self.do(self.session.tick(self.now_ms))
            if self.warming:
                self.warming = False
                self.do(self.session.upstream_warmed(self.now_ms))

    def connect(self) -> None:
        """An upstream that is there at once."""
        self.do(self.session.upstream_opened(self.now_ms))
        self.hears("session.updated", session={})
        assert self.session.phase == READY

    def person(self, name: str) -> None:
        """Somebody speaks for a second, and is understood."""
        item = f"said_{name}"
        self.hears("input_audio_buffer.speech_started", item_id=item, audio_start_ms=self.now_ms)
        self.passes(1_000)
        self.hears("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=self.now_ms)
        self.hears("input_audio_buffer.committed", item_id=item)
        kind = "conversation.item.input_audio_transcription"
        self.hears(f"{kind}.delta", item_id=item, delta="What is ")
        self.hears(f"{kind}.completed", item_id=item, transcript="What is the time?", usage={"seconds": 1})

    def answer(self, name: str, *, ends: str = "completed", function: bool = False) -> None:
        """The assistant speaks for 400 ms, which the page plays unless the answer is to be `cancelled`."""
        response, item = f"answer_{name}", f"spoken_{name}"
        self.hears("response.created", response={"id": response})
        place = {"response_id": response, "item_id": item}
        self.hears("response.output_item.added", response_id=response, item={"id": item, "type": "message"})
        for word in ("It ", "is ", "half past ", "ten."):
            self.hears("response.output_audio_transcript.delta", **place, delta=word)
            self.hears("response.output_audio.delta", **place, delta=SPEECH)
        if ends == "cancelled":
            self.says("playout.position", item_id=item, samples=2_400, buffered_ms=300)
            self.hears(
                "input_audio_buffer.speech_started", item_id=f"said_{name}b", audio_start_ms=self.now_ms
            )
            for cut in self.clears:
                self.says("playout.cleared", item_id=cut, samples=2_400)
            self.clears.clear()
        else:
            whole = {"id": item, "type": "message", "status": "completed"}
            self.hears("response.output_audio_transcript.done", **place, transcript="It is half past ten.")
            self.hears("response.output_item.done", response_id=response, item=whole)
        if function:
            call = {"type": "function_call", "call_id": f"call_{name}", "name": "clock", "arguments": "{}"}
            self.hears(
                "response.output_item.done", response_id=response, item={**call, "status": "completed"}
            )
        tokens = {"audio_tokens": 40, "text_tokens": 10}
        usage = {"input_tokens": 50, "output_tokens": 50}
        usage |= {"input_token_details": tokens, "output_token_details": tokens}
        self.hears("response.done", response={"id": response, "status": ends, "usage": usage})
        if ends == "completed":
            self.says("playout.started", item_id=item, at_ms=self.now_ms)
            for played in (2_400, 4_800, 7_200, 9_600):
                self.says("playout.position", item_id=item, samples=played, buffered_ms=0)
        for said in (f"said_{name}", item):
            self.do(self.session.saved(said, f"id_{said}", "completed", self.now_ms))


def turn(call: Call, number: int, kinds: int) -> None:
    """One turn, of each kind in turn: answered, interrupted, with a function, typed."""
    name = str(number)
    kind = number % kinds
    if kind == 3:
        call.says("input.text", text="And now in writing", client_id=name)
        call.passes(400)
    else:
        call.person(name)
    call.answer(name, ends="cancelled" if kind == 1 else "completed", function=kind == 2)
    if kind == 1:
        call.passes(500)
        call.hears("input_audio_buffer.speech_stopped", item_id=f"said_{name}b", audio_end_ms=call.now_ms)
        call.hears("input_audio_buffer.committed", item_id=f"said_{name}b")  # and is never transcribed
        call.answer(f"{name}b")
    for function in call.functions:
        call.do(call.session.tool_result("clock", function, "10:30", True, call.now_ms))
        call.answer(f"{name}c")
    call.functions.clear()
    if number % 10 == 0:
        call.says("session.configure", speed=1.0 + (number % 3) / 10)
    for _ in range(4):
        call.says("ping", t=float(number), rtt_ms=20.0)
    # Now and then a pause, in which the upstream may change.
    call.passes(31_000 if number % 100 == 99 else 1_600)


def sizes(thing: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """How much is in each container of a session, by where it is; those inside of others count together."""
    if isinstance(thing, str | bytes | int | float | type | random.Random | RelayConfig) or thing is None:
        return
    if isinstance(thing, dict | OrderedDict):
        yield name, len(thing)
        inside = list(thing.values())
    elif isinstance(thing, list | tuple | set | deque):
        yield name, len(thing)
        inside = list(thing)
    else:
        for attribute in [*getattr(thing, "__slots__", ()), *getattr(thing, "__dict__", ())]:
            value = getattr(thing, attribute, None)
            if (not callable(value) and attribute not in ("talk", "intake", "config")) or not name:
                yield from sizes(value, f"{name}.{attribute}".lstrip("."))
        return
    if name not in MESSAGES:
        for one in inside:
            yield from sizes(one, f"{name}[]")


def measured(session: Session) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, size in sizes(session):
        found[name] = found.get(name, 0) + size
    return found


@pytest.fixture
def call() -> Call:
    vad = {"type": "server_vad", "create_response": True, "interrupt_response": True}
    config = RelayConfig(
        upstream_url="ws://127.0.0.1:1/v1/realtime",
        model="m",
        voice="marin",
        instructions="",
        keep="audio",
        may_record=True,
        turn_detection=vad,
        site_turn_detection=vad,
        max_session_ms=24 * 3_600_000,
        rotate_after_ms=10 * 60_000,
    )
    call = Call(Session(config, random.Random(7), "s"))
    call.do(call.session.attach({"uplink_samples": 0}, 0))
    call.connect()
    return call


@pytest.mark.parametrize("kinds", [1, 4], ids=["only spoken", "of every kind"])
def test_a_session_of_a_thousand_turns_holds_no_more_than_one_of_three_hundred(
    call: Call, kinds: int
) -> None:
    for number in range(WARM_UP):
        turn(call, number, kinds)
    before = measured(call.session)
    for number in range(WARM_UP, TURNS):
        turn(call, number, kinds)
    after = measured(call.session)

    assert len(call.session.talk.transcript.items) >= 2 * TURNS
    grown = {name: (before.get(name, 0), size) for name, size in after.items() if size > before.get(name, 0)}
    assert {name for name in grown if name not in MESSAGES} == set(), grown
    assert call.session.rotations > 2
    assert call.seeds == TOLD_MESSAGES
