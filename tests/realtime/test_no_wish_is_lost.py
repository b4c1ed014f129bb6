"""Whatever is asked for is answered, or the person is told: refusals, deadlines, functions, losses, old news. Pure."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from realtime.conf import RelayConfig, Seed
from realtime.effects import (
    RecordMessage,
    RunTool,
    SendBrowser,
    SendUpstream,
    SendUpstreamAudio,
    SwapUpstream,
    WarmUpstream,
)
from realtime.exceptions import UpstreamLost
from realtime.gate import OWED_DEADLINE_MS, REQUEST_DEADLINE_MS
from realtime.session import Session
from realtime.session_life import WRAP_UP
from realtime.transcript import TOLD_CHARS

VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
CONFIG = RelayConfig(
    upstream_url="ws://127.0.0.1:1/v1/realtime",
    model="m",
    voice="marin",
    instructions="",
    turn_detection=VAD,
    max_session_ms=7_200_000,
    idle_ms=7_200_000,
)


class Talk:
    """One session with a page, and an upstream that says what the test has it say."""

    def __init__(self, config: RelayConfig = CONFIG) -> None:
        self.session = Session(config, random.Random(7), "s")
        self.now_ms = 0
        self.effects: list[Any] = []
        self.do(self.session.attach({"uplink_samples": 0}, 0))
        self.connect()

    def do(self, effects: list[Any]) -> None:
        self.effects += effects

    def connect(self) -> None:
        self.do(self.session.upstream_opened(self.now_ms))
        self.says("session.updated", session={})

    def says(self, kind: str, **fields: Any) -> None:
        self.do(self.session.upstream_event({"event_id": "e", "type": kind, **fields}, self.now_ms))

    def refuses(self, event_id: str, code: str = "x", kind: str = "invalid_request_error") -> None:
        self.says("error", error={"type": kind, "code": code, "message": "m", "event_id": event_id})

    def begins(self, response_id: str) -> None:
        self.says("response.created", response={"id": response_id})

    def ends(self, response_id: str, status: str = "completed") -> None:
        self.says("response.done", response={"id": response_id, "status": status})

    def calls(self, response_id: str, call_id: str) -> None:
        item = {
            "type": "function_call",
            "status": "completed",
            "name": "f",
            "call_id": call_id,
            "arguments": "{}",
        }
        self.says("response.output_item.done", response_id=response_id, item=item)

    def returns(self, call_id: str) -> None:
        self.do(self.session.tool_result("f", call_id, "1", True, self.now_ms))

    def page(self, kind: str, **fields: Any) -> None:
        self.do(self.session.browser_message({"type": kind, **fields}, self.now_ms))

    def types(self, client_id: str) -> None:
        self.page("input.text", text="typed", client_id=client_id)

    def waits(self, ms: int) -> None:
        until = self.now_ms + ms
        while (due := self.session.deadline_ms()) is not None and due <= until:
            self.now_ms = max(self.now_ms, due)
            if self.session.deadlines.get("heartbeat") == due:
                self.page("ping", t=1)
                continue
            self.do(self.session.tick(self.now_ms))
        self.now_ms = until

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [e.event for e in self.effects if isinstance(e, SendUpstream) and e.event["type"] == kind]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [e.message for e in self.effects if isinstance(e, SendBrowser) and e.message["type"] == kind]

    @property
    def asked(self) -> int:
        return len(self.sent("response.create"))

    def statuses(self) -> list[str]:
        return [e.status for e in self.effects if isinstance(e, RecordMessage)]


def test_an_answer_that_the_upstream_refuses_is_told_and_the_message_can_be_tried_again() -> None:
    talk = Talk()
    talk.types("c1")
    talk.refuses(talk.sent("response.create")[0]["event_id"], "some_refusal")
    assert [error["code"] for error in talk.told("error")] == ["upstream.answer_failed"]
    assert talk.statuses()[-1] == "unanswered"
    talk.types("c1")
    assert talk.asked == 2


def test_a_typed_message_that_the_upstream_refuses_is_told_and_can_be_sent_again() -> None:
    talk = Talk()
    talk.types("c1")
    (created,) = talk.sent("conversation.item.create")
    talk.refuses(created["event_id"], "invalid_value")
    assert [error["code"] for error in talk.told("error")] == ["upstream.message_refused"]
    assert talk.statuses()[-1] == "unanswered"
    talk.begins("r1")  # of the request that was on its way: an answer to something else
    assert [event["response_id"] for event in talk.sent("response.cancel")] == ["r1"]
    talk.ends("r1", "cancelled")
    assert len(talk.told("error")) == 1
    talk.types("c1")
    assert [event["item"]["id"] for event in talk.sent("conversation.item.create")] == [
        created["item"]["id"]
    ] * 2
    assert talk.asked == 2
    assert talk.statuses()[-1] == "completed"


def test_the_next_upstream_is_not_told_what_this_one_refused_until_it_is_tried_again() -> None:
    talk = Talk()
    talk.types("c1")
    talk.refuses(talk.sent("conversation.item.create")[0]["event_id"], "invalid_value")
    before = len(talk.effects)
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    talk.types("c2")
    talk.connect()
    assert seeded(talk.effects[before:]) == ["typed"]
    before = len(talk.effects)
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    talk.types("c1")
    talk.connect()
    assert seeded(talk.effects[before:]) == ["typed", "typed"]
    assert talk.asked == 3  # once of each upstream


def test_a_refused_message_takes_nothing_from_the_one_after_it() -> None:
    talk = Talk()
    talk.types("c1")
    talk.types("c2")
    talk.refuses(talk.sent("conversation.item.create")[0]["event_id"], "invalid_value")
    talk.begins("r1")
    assert [event["response_id"] for event in talk.sent("response.cancel")] == ["r1"]  # c2 interrupted it
    talk.ends("r1", "cancelled")
    assert talk.asked == 2


def test_an_answer_that_never_begins_is_told() -> None:
    talk = Talk()
    talk.types("c1")
    talk.waits(REQUEST_DEADLINE_MS)
    assert talk.told("error")
    assert talk.statuses()[-1] == "unanswered"


def test_what_was_typed_behind_a_refused_answer_is_asked_for() -> None:
    talk = Talk()
    talk.types("c1")
    talk.types("c2")
    talk.refuses(talk.sent("response.create")[0]["event_id"], "some_refusal")
    assert talk.asked == 2
    assert not talk.told("error")


def test_a_minute_of_too_many_answers_ends_by_itself() -> None:
    talk = Talk(replace(CONFIG, responses_per_minute=1))
    talk.types("c1")
    talk.begins("r1")
    talk.ends("r1")
    talk.types("c2")
    assert talk.asked == 1
    talk.waits(60_000)
    assert talk.asked == 2


def test_a_turn_that_was_spoken_into_an_answer_is_answered_after_it() -> None:
    talk = Talk(replace(CONFIG, interruptible=False))
    talk.types("c1")
    talk.begins("r1")
    talk.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    talk.says("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=500)
    talk.says("input_audio_buffer.committed", item_id="u1")
    talk.ends("r1")
    talk.waits(OWED_DEADLINE_MS)
    assert talk.asked == 2


def test_speech_stops_an_answer_that_was_asked_for_and_does_not_exist_yet() -> None:
    talk = Talk()
    talk.types("c1")
    talk.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    talk.begins("r1")
    assert [event["response_id"] for event in talk.sent("response.cancel")] == ["r1"]


def test_a_page_that_comes_back_asks_for_nothing_while_the_upstream_is_away() -> None:
    talk = Talk()
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    talk.types("c1")
    talk.do(talk.session.browser_gone(0))
    talk.do(talk.session.attach({"uplink_samples": 0}, 0))
    talk.types("c1")
    assert talk.asked == 0
    talk.connect()
    assert talk.asked == 1


def test_what_a_lost_upstream_still_says_is_not_heard() -> None:
    talk = Talk()
    talk.says("error", error={"type": "x", "code": "session_expired", "message": "m"})
    talk.begins("of the old one")
    assert not talk.session.talk.gate.busy


def test_an_answer_waits_for_all_functions_and_for_the_end_of_the_answer_that_called_them() -> None:
    talk = Talk()
    talk.types("c1")
    talk.begins("r1")
    talk.calls("r1", "call_1")
    talk.returns("call_1")
    talk.calls("r1", "call_2")
    talk.ends("r1")
    assert talk.asked == 1
    talk.returns("call_2")
    assert talk.asked == 2
    assert len([e for e in talk.effects if isinstance(e, RunTool)]) == 2


def test_a_function_that_returns_after_the_person_spoke_asks_for_no_answer() -> None:
    talk = Talk()
    talk.types("c1")
    talk.begins("r1")
    talk.calls("r1", "call_1")
    talk.ends("r1")
    talk.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=0)
    talk.returns("call_1")
    assert talk.asked == 1
    assert talk.sent("conversation.item.create")[-1]["item"]["type"] == "function_call_output"


def test_a_function_that_was_running_when_the_upstream_went_is_asked_for_anew() -> None:
    talk = Talk()
    talk.types("c1")
    talk.begins("r1")
    talk.calls("r1", "call_1")
    talk.ends("r1")
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    talk.connect()
    assert talk.asked == 2


def test_functions_that_call_each_other_without_end_are_told() -> None:
    talk = Talk()
    talk.types("c1")
    for number in range(6):
        talk.begins(f"r{number}")
        talk.calls(f"r{number}", f"call_{number}")
        talk.ends(f"r{number}")
        talk.returns(f"call_{number}")
    assert talk.asked == 6
    assert [error["code"] for error in talk.told("error")] == ["upstream.answer_failed"]


def test_the_failure_of_an_answer_that_was_stopped_is_not_the_next_messages() -> None:
    talk = Talk()
    talk.types("c1")
    talk.begins("r1")
    talk.types("c2")
    talk.ends("r1", "failed")
    assert talk.asked == 2
    assert not talk.told("error")
    assert "unanswered" not in talk.statuses()


def test_events_after_the_end_of_an_answer_warn_of_nothing() -> None:
    talk = Talk()
    talk.types("c1")
    talk.begins("r1")
    talk.ends("r1")
    talk.says("response.output_audio.done", response_id="r1", item_id="a1")
    talk.waits(60_000)
    assert not talk.told("warning")


def test_no_upstream_is_replaced_while_a_function_runs_or_a_transcript_is_to_come() -> None:
    talk = Talk(replace(CONFIG, rotate_after_ms=60_000))
    talk.types("c1")
    talk.begins("r1")
    talk.calls("r1", "call_1")
    talk.ends("r1")
    talk.waits(61_000)
    assert not talk.session.warm_told
    talk.returns("call_1")
    talk.begins("r2")
    talk.ends("r2")
    talk.says("input_audio_buffer.committed", item_id="u1")
    talk.begins("r3")
    talk.ends("r3")
    talk.waits(2_000)
    assert not talk.session.warm_told
    talk.says(
        "conversation.item.input_audio_transcription.completed",
        item_id="u1",
        transcript="late",
        content_index=0,
    )
    talk.waits(2_000)
    assert talk.session.warm_told


def test_an_upstream_that_was_warmed_with_what_is_out_of_date_takes_over_nothing() -> None:
    talk = Talk(replace(CONFIG, rotate_after_ms=60_000))
    talk.waits(60_000)
    talk.page("session.configure", turn_detection={"type": "semantic_vad"})
    talk.do(talk.session.upstream_warmed(talk.now_ms))
    assert not [e for e in talk.effects if isinstance(e, SwapUpstream)]


def seeded(events: list[Any]) -> list[str]:
    items = [e.event["item"] for e in events if isinstance(e, SendUpstream) and "item" in e.event]
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


def test_however_long_a_call_is_a_new_upstream_is_told_no_more_than_its_last_words() -> None:
    history = (Seed("user", "Of yesterday. " + "y" * 6_000),)
    talk = Talk(replace(CONFIG, history=history, rotate_after_ms=600_000))
    for number in range(60):
        talk.waits(5_000)
        talk.page("input.text", text=f"{number}: " + "word " * 800, client_id=f"c{number}")
        talk.begins(f"r{number}")
        talk.ends(f"r{number}")
    before = len(talk.effects)
    talk.do(talk.session.upstream_closed(UpstreamLost(), talk.now_ms))
    talk.connect()
    told = seeded(talk.effects[before:])
    assert sum(len(text) for text in told) <= TOLD_CHARS
    assert told[-1].startswith("59: ")
    before = len(talk.effects)
    talk.waits(600_000)
    (warmed,) = [e for e in talk.effects[before:] if isinstance(e, WarmUpstream)]
    assert seeded([SendUpstream(event) for event in warmed.events]) == told


def test_the_next_upstream_is_told_too_that_the_budget_is_nearly_used() -> None:
    talk = Talk(replace(CONFIG, rotate_after_ms=60_000))
    talk.do(talk.session.budget(94, 0))
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    talk.connect()
    assert WRAP_UP not in seeded(talk.effects)
    talk.types("c1")
    talk.begins("r1")
    talk.ends("r1")
    talk.do(talk.session.budget(95, talk.now_ms))
    before = len(talk.effects)
    talk.do(talk.session.upstream_closed(UpstreamLost(), talk.now_ms))
    talk.connect()
    assert seeded(talk.effects[before:]) == ["typed", WRAP_UP]
    before = len(talk.effects)
    talk.waits(60_000)
    (warmed,) = [e for e in talk.effects[before:] if isinstance(e, WarmUpstream)]
    assert seeded([SendUpstream(event) for event in warmed.events]) == ["typed", WRAP_UP]


def test_the_next_upstream_is_told_the_speed_and_not_what_this_one_refused() -> None:
    talk = Talk()
    talk.page("session.configure", speed=1.25)
    talk.page("session.configure", turn_detection={"type": "semantic_vad"})
    talk.refuses(talk.sent("session.update")[-1]["event_id"], "invalid_value")
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    talk.connect()
    audio = talk.sent("session.update")[-1]["session"]["audio"]
    assert audio["output"]["speed"] == 1.25
    assert audio["input"]["turn_detection"]["type"] == "server_vad"


def test_push_to_talk_that_the_upstream_did_not_confirm_is_committed_to_the_next_one() -> None:
    talk = Talk(replace(CONFIG, turn_detection=None))
    talk.do(talk.session.browser_audio(bytes(9_600), 0))
    talk.page("input.commit")
    talk.do(talk.session.upstream_closed(UpstreamLost(), 0))
    before = len(talk.effects)
    talk.connect()
    after = talk.effects[before:]
    kinds = [e.event["type"] for e in after if isinstance(e, SendUpstream)]
    assert kinds == ["session.update", "input_audio_buffer.commit", "response.create"]
    assert [e for e in after if isinstance(e, SendUpstreamAudio)]


def test_a_key_that_was_only_touched_asks_for_nothing_and_says_why() -> None:
    talk = Talk(replace(CONFIG, turn_detection=None))
    talk.do(talk.session.browser_audio(bytes(4_608), 0))
    talk.page("input.commit")
    assert not talk.sent("input_audio_buffer.commit")
    assert talk.asked == 0
    assert [warning["code"] for warning in talk.told("warning")] == ["answer.nothing_said"]
    talk.do(talk.session.browser_audio(bytes(192), 0))
    talk.page("input.commit")
    assert talk.asked == 1


def test_what_is_called_saved_is_what_was_stored_and_a_page_that_was_away_is_told() -> None:
    talk = Talk()
    talk.types("c1")
    item_id = talk.told("transcript.done")[0]["item_id"]
    talk.waits(30_000)
    talk.do(talk.session.browser_gone(talk.now_ms))
    talk.now_ms += 1_000
    talk.do(talk.session.saved(item_id, "m1", "pending", talk.now_ms))
    before = len(talk.effects)
    talk.do(talk.session.attach({"uplink_samples": 0}, talk.now_ms))
    saved = [
        e.message
        for e in talk.effects[before:]
        if isinstance(e, SendBrowser) and e.message["type"] == "message.saved"
    ]
    assert [message["status"] for message in saved] == ["pending"]
