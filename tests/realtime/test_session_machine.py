"""A session under anything at any time. Long, because the model, its steps and what must hold are one machine.

People and peers speak, type, answer, cancel, drop, resume, lose the upstream, wait and end.

A small model of the upstream answers what the session sends, or refuses it, or says nothing. After each step the
invariants hold. At the end of each run everybody plays along for a while: then what was typed or spoken last is
answered, or the person was told why not, or did something else since. And waiting alone brings the session to its
end with every message in a final state.
"""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realtime.conf import RelayConfig
from realtime.effects import (
    CloseUpstream,
    Effect,
    End,
    OpenUpstream,
    RecordEnd,
    RecordMessage,
    RunTool,
    SendBrowser,
    SendBrowserAudio,
    SendUpstream,
    SendUpstreamAudio,
    SwapUpstream,
    WarmUpstream,
)
from realtime.exceptions import UpstreamLost, UpstreamRefused
from realtime.gate import REQUEST_DEADLINE_MS
from realtime.session import ENDED, READY, Session

CONFIG = RelayConfig(
    upstream_url="ws://127.0.0.1:1/v1/realtime",
    model="m",
    voice="marin",
    instructions="hidden",
    turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    first_position=1 << 20,
    rotate_after_ms=60_000,
)
FINAL = {"completed", "interrupted", "failed", "unanswered"}


class SessionMachine(RuleBasedStateMachine):
    """The page, the upstream and the clock around one session."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.session = Session(CONFIG, random.Random(7), "s")
        self.ended = 0
        self.end_records = 0
        self.records: dict[str, RecordMessage] = {}
        self.positions: dict[str, int] = {}
        self.cut: list[str] = []
        # the page
        self.attached = False
        self.received: dict[str, int] = {}
        self.begun: str | None = None
        self.clears: list[str] = []
        self.typed = 0
        # the upstream
        self.dial_at: int | None = None
        self.upstream_open = False
        self.configure_id = ""
        self.active: str | None = None
        self.asked: dict[str, int] = {}  # events that ask for an answer: since when
        self.item: str | None = None
        self.produced: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.ids = 0
        self.person: str | None = None
        self.untranscribed: list[str] = []
        self.commits = 0  # of push-to-talk, not confirmed yet
        self.warming = False
        self.functions: list[str] = []
        self.messages: list[str] = []  # events that create typed messages, taken or not
        # what was typed or said last, while nothing came of it
        self.unanswered = False

    # ---- plumbing

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not self.ended or isinstance(effect, CloseUpstream), effect
            match effect:
                case SendUpstream(event, _):
                    self.upstream_gets(event)
                case SendUpstreamAudio():
                    assert self.upstream_open
                case SendBrowser(message, _):
                    self.page_gets(message)
                case SendBrowserAudio(pcm):
                    assert self.begun is not None
                    assert self.attached
                    self.received[self.begun] = self.received.get(self.begun, 0) + len(pcm) // 2
                case OpenUpstream(after_ms):
                    assert not self.upstream_open
                    self.dial_at = self.now_ms + after_ms
                case CloseUpstream():
                    self.upstream_gone()
                case RecordMessage():
                    self.keep(effect)
                case RecordEnd():
                    self.end_records += 1
                case End():
                    self.ended += 1
                    self.upstream_gone()
                case RunTool(_, call_id, _):
                    self.functions.append(call_id)
                case WarmUpstream():
                    self.warming = True
                case SwapUpstream():
                    assert self.active is None, "swapped in the middle of an answer"
                    given_up_ms = (
                        self.now_ms - REQUEST_DEADLINE_MS
                    )  # what was asked before is waited for no more
                    assert all(at_ms <= given_up_ms for at_ms in self.asked.values()), (
                        "swapped with an answer asked for"
                    )
                    assert not self.functions or self.session.talk.tools_abandoned, (
                        "swapped with a function running"
                    )
                    self.person, self.commits = None, 0

    def upstream_gone(self) -> None:
        self.upstream_open = False
        self.active = self.item = self.person = None
        self.commits = 0
        self.asked.clear()
        self.messages.clear()

    def upstream_gets(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "session.update" and event["event_id"].startswith("configure"):
            self.configure_id = event["event_id"]
        elif kind == "response.create":
            self.asked[event["event_id"]] = self.now_ms
        elif kind == "conversation.item.create" and "event_id" in event:
            self.messages.append(event["event_id"])
        elif kind == "conversation.item.truncate":
            assert event["audio_end_ms"] * 24 <= self.produced[event["item_id"]], "truncated past the audio"
            assert event["audio_end_ms"] > 0
            self.cut.append(event["item_id"])
        elif kind == "conversation.item.delete":
            self.cut.append(event["item_id"])
        elif kind == "input_audio_buffer.commit":
            self.commits += 1
        elif kind == "response.cancel" and event.get("response_id") == self.active:
            self.finish_response("cancelled")
        elif kind == "response.cancel":
            self.refuse(event["event_id"], "response_cancel_not_active")

    def refuse(self, event_id: str, code: str) -> None:
        error = {"code": code, "event_id": event_id, "type": "invalid_request_error", "message": "y"}
        self.said({"type": "error", "error": error})

    def page_gets(self, message: dict[str, Any]) -> None:
        assert "hidden" not in str(message)
        if message["type"] == "error" or message.get("code") in (
            "answer.slow",
            "answer.too_long",
            "answer.nothing_said",
        ):
            self.unanswered = False  # told
        if not self.attached:
            return
        if message["type"] == "audio.begin":
            self.begun = message["item_id"]
            assert self.received.get(self.begun, 0) >= message["offset_samples"], "a hole in the speech"
            self.received[self.begun] = message["offset_samples"]
        elif message["type"] == "audio.clear":
            self.clears.append(message["item_id"])
        elif message["type"] == "audio.end":
            assert self.received.get(message["item_id"], 0) == message["samples"]

    def keep(self, record: RecordMessage) -> None:
        old = self.records.get(record.item_id)
        assert self.positions.setdefault(record.item_id, record.position) == record.position
        assert len(set(self.positions.values())) == len(self.positions), "two items at one place"
        if old is not None and old.status in FINAL:
            assert record.status in FINAL, "a final message became pending"
        if record.heard_ms is not None and record.generated_ms is not None:
            assert record.heard_ms <= record.generated_ms
        if record.heard_chars is not None:
            assert 0 <= record.heard_chars <= len(record.text)
        if record.role == "user" and record.status in ("unanswered", "failed"):
            self.unanswered = False  # told
        self.records[record.item_id] = record

    def said(self, event: dict[str, Any]) -> None:
        if self.upstream_open:
            self.do(self.session.upstream_event({"event_id": "e", **event}, self.now_ms))

    def new_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}_{self.ids}"

    # ---- the page's rules

    @initialize()
    def begin(self) -> None:
        self.attached = True
        self.do(self.session.attach({"uplink_samples": 0}, self.now_ms))

    @precondition(lambda self: self.attached and not self.ended)
    @rule()
    def drop(self) -> None:
        self.attached = False
        self.begun = None
        self.do(self.session.browser_gone(self.now_ms))

    @precondition(lambda self: not self.attached and not self.ended)
    @rule(reloaded=st.booleans())
    def resume(self, reloaded: bool) -> None:
        self.attached, self.begun = True, None
        self.clears.clear()
        held = next(reversed(self.received), None)
        received = None if reloaded or held is None else {"item_id": held, "samples": self.received[held]}
        if reloaded:
            for item in self.session.talk.playout.items.values():
                self.received[item.item_id] = item.heard
        self.do(self.session.attach({"uplink_samples": 0, "received": received}, self.now_ms))
        if received is not None and held in self.session.talk.cut:
            assert held in self.clears, "the page plays on what was cut while it was away"

    @precondition(lambda self: self.attached)
    @rule(ms=st.sampled_from([40, 200]))
    def speak_into_the_microphone(self, ms: int) -> None:
        self.do(self.session.browser_audio(bytes(48 * ms), self.now_ms))

    @precondition(lambda self: self.attached)
    @rule()
    def type_text(self) -> None:
        self.typed += 1
        self.pass_time(2_000)
        if self.attached:
            self.unanswered = True
            message = {"type": "input.text", "text": "typed", "client_id": f"c{self.typed}"}
            self.do(self.session.browser_message(message, self.now_ms))

    @precondition(lambda self: self.attached and self.typed)
    @rule()
    def try_again(self) -> None:
        self.typed -= 1
        self.type_text()

    @precondition(lambda self: self.attached)
    @rule()
    def throw_away(self) -> None:
        self.pass_time(1_000)
        if self.attached:
            self.person, self.commits = None, 0
            self.do(self.session.browser_message({"type": "input.clear"}, self.now_ms))

    @precondition(lambda self: self.attached)
    @rule()
    def interrupt(self) -> None:
        self.pass_time(1_000)
        if self.attached:
            self.unanswered = False
            self.do(self.session.browser_message({"type": "interrupt"}, self.now_ms))

    @precondition(lambda self: self.attached and self.received)
    @rule(part=st.floats(0, 1.2))
    def play(self, part: float) -> None:
        item_id = list(self.received)[-1]
        samples = int(self.received[item_id] * part)
        said = {"type": "playout.position", "item_id": item_id, "samples": samples}
        self.do(self.session.browser_message(said, self.now_ms))

    @precondition(lambda self: self.attached and self.clears)
    @rule(part=st.floats(0, 1.5))
    def answer_a_clear(self, part: float) -> None:
        item_id = self.clears.pop(0)
        samples = int(self.received.get(item_id, 0) * part)
        said = {"type": "playout.cleared", "item_id": item_id, "samples": samples}
        self.do(self.session.browser_message(said, self.now_ms))

    @precondition(lambda self: self.attached)
    @rule(kind=st.sampled_from(["server_vad", "semantic_vad", "none"]), interruptible=st.booleans())
    def configure(self, kind: str, interruptible: bool) -> None:
        self.pass_time(1_000)
        if self.attached:
            said = {
                "type": "session.configure",
                "turn_detection": {"type": kind},
                "interruptible": interruptible,
            }
            self.do(self.session.browser_message(said, self.now_ms))

    @precondition(lambda self: self.attached)
    @rule()
    def release_push_to_talk(self) -> None:
        self.pass_time(1_000)
        if self.attached:
            self.unanswered = self.unanswered or self.session.talk.turn_detection is None
            self.do(self.session.browser_message({"type": "input.commit"}, self.now_ms))

    # ---- the upstream's rules

    @precondition(lambda self: self.dial_at is not None and not self.ended)
    @rule(works=st.sampled_from([True, True, True, False]))
    def dial(self, works: bool) -> None:
        self.pass_time(max(0, (self.dial_at or 0) - self.now_ms))
        if self.ended or self.dial_at is None:
            return
        self.dial_at = None
        if not works:
            self.do(self.session.upstream_closed(UpstreamRefused(503), self.now_ms))
            return
        self.upstream_open = True
        self.do(self.session.upstream_opened(self.now_ms))
        self.said({"type": "session.updated", "session": {}})

    @precondition(lambda self: self.upstream_open)
    @rule(code=st.sampled_from([None, 1000, 1001, 1011]))
    def lose_the_upstream(self, code: int | None) -> None:
        self.upstream_gone()
        self.do(self.session.upstream_closed(UpstreamLost(code), self.now_ms))

    @precondition(lambda self: self.upstream_open and self.person is None)
    @rule()
    def hear_speech(self) -> None:
        self.person = self.new_id("u")
        if self.session.talk.interruptible:
            self.unanswered = False
        if self.active and self.session.talk.interruptible:
            self.said(
                {"type": "input_audio_buffer.speech_started", "item_id": self.person, "audio_start_ms": 0}
            )
            if self.active:
                self.finish_response("cancelled")
        else:
            self.said(
                {"type": "input_audio_buffer.speech_started", "item_id": self.person, "audio_start_ms": 0}
            )

    @precondition(lambda self: self.upstream_open and self.person is not None)
    @rule(answers=st.sampled_from([True, True, False]))
    def hear_silence(self, answers: bool) -> None:
        person, self.person = self.person, None
        assert person is not None
        self.said({"type": "input_audio_buffer.speech_stopped", "item_id": person, "audio_end_ms": 1})
        self.said({"type": "input_audio_buffer.committed", "item_id": person})
        self.untranscribed.append(person)
        if self.session.talk.turn_detection and self.upstream_open:
            self.unanswered = True
            if answers and self.active is None:
                self.create_response()

    @precondition(lambda self: self.upstream_open and self.commits)
    @rule()
    def confirm_a_commit(self) -> None:
        self.commits -= 1
        self.untranscribed.append(self.new_id("u"))
        self.said({"type": "input_audio_buffer.committed", "item_id": self.untranscribed[-1]})

    @precondition(lambda self: self.upstream_open and self.untranscribed)
    @rule(text=st.sampled_from(["hello there", "", None]))
    def understand(self, text: str | None) -> None:
        item_id = self.untranscribed.pop()
        base = "conversation.item.input_audio_transcription."
        if text is None:
            self.said({"type": base + "failed", "item_id": item_id, "content_index": 0, "error": {}})
        else:
            self.said(
                {"type": base + "completed", "item_id": item_id, "content_index": 0, "transcript": text}
            )

    def take_a_request(self) -> str:
        event_id = next(iter(self.asked))
        del self.asked[event_id]
        return event_id

    @precondition(lambda self: self.upstream_open and self.asked)
    @rule()
    def answer_a_request(self) -> None:
        event_id = self.take_a_request()
        if self.active is not None:
            self.refuse(event_id, "conversation_already_has_active_response")
        else:
            self.create_response()

    @precondition(lambda self: self.upstream_open and self.asked)
    @rule(code=st.sampled_from([None, "rate_limit_exceeded", "conversation_already_has_active_response"]))
    def refuse_a_request(self, code: str | None) -> None:
        event_id = self.take_a_request()
        if code is not None:  # else nothing is heard of it any more
            self.refuse(event_id, code)

    @precondition(lambda self: self.upstream_open and self.messages)
    @rule()
    def refuse_a_message(self) -> None:
        self.refuse(self.messages.pop(), "invalid_value")

    @precondition(lambda self: self.active is not None)
    @rule()
    def call_a_function(self) -> None:
        call = {"type": "function_call", "name": "f", "call_id": self.new_id("call"), "arguments": "{}"}
        self.said(
            {
                "type": "response.output_item.done",
                "response_id": self.active,
                "item": {**call, "status": "completed"},
            }
        )

    @precondition(lambda self: self.functions and not self.ended)
    @rule()
    def return_from_a_function(self) -> None:
        self.do(self.session.tool_result("f", self.functions.pop(0), "1", True, self.now_ms))

    @precondition(lambda self: self.warming and not self.ended)
    @rule(works=st.booleans())
    def warm_the_next_upstream(self, works: bool) -> None:
        self.warming = False
        verb = self.session.upstream_warmed if works else self.session.warming_failed
        self.do(verb(self.now_ms))

    @precondition(lambda self: not self.upstream_open and not self.ended)
    @rule()
    def hear_old_news(self) -> None:
        for event in ({"type": "response.created", "response": {"id": "old"}}, {"type": "session.updated"}):
            self.do(self.session.upstream_event({"event_id": "e", **event}, self.now_ms))

    def create_response(self) -> None:
        self.active = self.new_id("r")
        self.item = None
        self.said({"type": "response.created", "response": {"id": self.active}})

    @precondition(lambda self: self.active is not None)
    @rule(ms=st.sampled_from([10, 250, 3_000]))
    def say_more(self, ms: int) -> None:
        base = {"response_id": self.active, "output_index": 0, "content_index": 0}
        if self.item is None:
            self.item = self.new_id("a")
            self.said(
                {"type": "response.output_item.added", **base, "item": {"id": self.item, "type": "message"}}
            )
        base["item_id"] = self.item
        if self.active not in self.session.talk.gate.cancelled:
            self.unanswered = False
        self.said({"type": "response.output_audio_transcript.delta", **base, "delta": "word "})
        if self.active is None:
            return
        self.produced[self.item] = self.produced.get(self.item, 0) + ms * 24
        pcm = base64.b64encode(bytes(48 * ms)).decode()
        self.said({"type": "response.output_audio.delta", **base, "delta": pcm})

    @precondition(lambda self: self.active is not None)
    @rule(status=st.sampled_from(["completed", "completed", "failed", "incomplete"]))
    def finish_response(self, status: str) -> None:
        response, item, self.active, self.item = self.active, self.item, None, None
        if item is not None and status == "completed":
            done = {"id": item, "type": "message", "status": "completed"}
            self.said({"type": "response.output_item.done", "response_id": response, "item": done})
        stopped = response in self.session.talk.gate.cancelled or status == "cancelled"
        if not stopped and not self.functions:
            self.unanswered = False  # with an answer, or with a word that there is none
        self.said({"type": "response.done", "response": {"id": response, "status": status}})

    @precondition(lambda self: self.upstream_open)
    @rule(event=st.sampled_from([
        {"type": "response.output_audio.delta"}, {"type": "response.done", "response": 7}, {"type": "new.event"},
        {"type": "error", "error": {"code": "server_error"}}, {"type": "response.created", "response": {"id": None}},
        {"type": "response.output_audio.delta", "response_id": "r", "item_id": "ghost", "delta": "!"},
        {"type": "response.output_item.done", "response_id": "ghost", "item": {"type": "message", "id": "ghost2"}},
        {"type": "conversation.item.input_audio_transcription.delta", "item_id": "nobody", "delta": "x"},
    ]))  # fmt: skip
    def talk_nonsense(self, event: dict[str, Any]) -> None:
        self.pass_time(3_000)
        if event["type"] == "response.output_item.done":
            self.produced.setdefault("ghost2", 0)
        self.said(dict(event))

    # ---- time and ends

    @rule(ms=st.sampled_from([5, 500, 5_000, 20_000]))
    def pass_time(self, ms: int) -> None:
        until = self.now_ms + ms
        while not self.ended:
            deadline = self.session.deadline_ms()
            if deadline is None or deadline > until:
                break
            self.now_ms = max(self.now_ms, deadline)
            attached_before = self.session.attached
            self.do(self.session.tick(self.now_ms))
            if attached_before and not self.session.attached:
                self.attached, self.begun = False, None
        self.now_ms = until

    @precondition(lambda self: not self.ended)
    @rule()
    def drain(self) -> None:
        self.do(self.session.drain(self.now_ms))

    @precondition(lambda self: not self.ended)
    @rule(reason=st.sampled_from(["superseded", "revoked", "draining"]))
    def end(self, reason: str) -> None:
        self.do(self.session.end(reason, self.now_ms))

    @invariant()
    def nothing_is_cut_twice(self) -> None:
        assert len(self.cut) == len(set(self.cut))

    @invariant()
    def the_window_holds(self) -> None:
        items = self.session.talk.playout.items.values()
        assert sum(item.sent - item.heard for item in items) <= CONFIG.ahead_ms * 24
        assert all(item.heard <= item.sent <= item.produced for item in items)

    @invariant()
    def every_transient_state_has_a_deadline(self) -> None:
        assert self.ended or self.session.deadline_ms() is not None or self.dial_at is not None

    @invariant()
    def an_end_is_one_end(self) -> None:
        assert self.ended == self.end_records == (1 if self.session.phase == ENDED else 0)
        if self.ended:
            assert not self.upstream_open

    def play_along(self) -> None:
        """Nobody does anything new, and everybody does what is asked."""
        if self.session.draining:
            self.do(self.session.end("draining", self.now_ms))
        for _ in range(80):
            if self.ended or not self.unanswered:
                return
            if not self.attached:
                self.resume(reloaded=False)
            self.do(self.session.browser_message({"type": "ping", "t": 1}, self.now_ms))
            if self.dial_at is not None:
                self.dial(works=True)
            elif self.functions:
                self.return_from_a_function()
            elif self.active is not None:
                self.finish_response("completed")
            elif self.commits:
                self.confirm_a_commit()
            elif self.asked:
                self.answer_a_request()
            elif self.person is not None:
                self.hear_silence(answers=True)
            else:
                self.pass_time(3_000)
        raise AssertionError("what was typed or said was never answered, and nobody was told")

    def teardown(self) -> None:
        self.play_along()
        if not self.ended and self.session.phase == READY:
            self.pass_time(3_600_000)
            assert self.ended == 1, "waiting did not end the session"
        if not self.ended:
            self.do(self.session.end("internal", self.now_ms))
        assert all(record.status in FINAL for record in self.records.values()), "a message was left pending"


TestSession = pytest.mark.timeout(900)(SessionMachine.TestCase)
TestSession.settings = settings(
    max_examples=2_000, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
