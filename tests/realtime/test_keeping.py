"""Which samples are which message, through redials, push-to-talk and lost audio; and what a choice holds for."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from realtime.conf import RelayConfig
from realtime.effects import Effect, KeepAudio, KeepSpan, RecordAudio, RecordMessage, SendBrowser
from realtime.exceptions import UpstreamLost
from realtime.session import Session

MS = 24  # samples
FRAME_MS = 40


class Talk:
    """A session with its page and upstream there; everything it asks for, gathered."""

    def __init__(self, keep: str, **fields: Any) -> None:
        detection = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        config = RelayConfig(
            upstream_url="ws://127.0.0.1:1/v1/realtime", model="m", voice="marin", instructions="x",
            **{"turn_detection": detection, "keep": keep, "may_record": True, **fields},
        )  # fmt: skip
        self.session = Session(config, random.Random(1), "s")
        self.now_ms = 0
        self.effects: list[Effect] = []
        self.do(self.session.attach({"uplink_samples": 0, "client": {}}, 0))

    def do(self, effects: list[Effect]) -> None:
        self.effects += effects

    def ready(self) -> None:
        self.do(self.session.upstream_opened(self.now_ms))
        self.up("session.updated")

    def up(self, kind: str, **fields: Any) -> None:
        self.do(self.session.upstream_event({"type": kind, **fields}, self.now_ms))

    def say(self, kind: str, **fields: Any) -> None:
        self.do(self.session.browser_message({"type": kind, **fields}, self.now_ms))

    def speak(self, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            self.now_ms += FRAME_MS
            self.do(self.session.browser_audio(bytes(FRAME_MS * 48), self.now_ms))

    def turn(self, item: str, start_ms: int, end_ms: int) -> None:
        """The upstream heard speech from here to there, on its own count."""
        self.up("input_audio_buffer.speech_started", item_id=item, audio_start_ms=start_ms)
        self.up("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=end_ms)
        self.up("input_audio_buffer.committed", item_id=item)

    def answer(self, item: str, ms: int) -> None:
        """An answer of so much silence, all made."""
        self.up("response.created", response={"id": f"r_{item}"})
        pcm = base64.b64encode(bytes(ms * 48)).decode()
        self.up("response.output_audio.delta", item_id=item, response_id=f"r_{item}", delta=pcm)
        self.up("response.output_audio.done", item_id=item, response_id=f"r_{item}")

    def of(self, kind: type[Any]) -> list[Any]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def spans(self) -> dict[str, tuple[int, int]]:
        return {span.item_id: (span.first // MS, span.end // MS) for span in self.of(KeepSpan)}

    def heard(self) -> list[tuple[str, int, int]]:
        """Item, and [first, end) in ms, of each stretch that was kept."""
        pieces = [piece for piece in self.of(KeepAudio) if piece.lane == "heard"]
        return [(p.item_id, p.first // MS, p.first // MS + len(p.pcm) // 48) for p in pieces]

    def kept_ms(self, item: str) -> int | None:
        return next((m.audio_ms for m in reversed(self.of(RecordMessage)) if m.item_id == item), None)


def test_a_message_is_where_the_upstream_heard_it() -> None:
    talk = Talk("audio")
    talk.ready()
    talk.speak(2_000)
    talk.turn("q", 400, 1_600)
    assert talk.spans() == {"q": (400, 1_600)}
    assert talk.kept_ms("q") == 1_200


def test_what_was_said_before_the_upstream_was_there_counts_from_its_first_sample() -> None:
    talk = Talk("audio", uplink_pending_ms=1_000)
    talk.speak(3_000)  # of which the last second is held
    talk.ready()
    talk.speak(1_000)
    talk.turn("q", 200, 1_600)
    assert talk.spans() == {"q": (2_200, 3_600)}


def test_a_new_upstream_counts_anew() -> None:
    talk = Talk("audio")
    talk.ready()
    talk.speak(2_000)
    talk.turn("q1", 0, 1_000)
    talk.do(talk.session.upstream_closed(UpstreamLost(), talk.now_ms))
    talk.speak(1_000)
    talk.ready()
    talk.speak(1_000)
    talk.turn("q2", 100, 1_900)
    assert talk.spans()["q2"] == (2_100, 3_900)


def test_audio_that_never_reached_the_upstream_does_not_shift_what_follows() -> None:
    talk = Talk("audio")
    talk.ready()
    talk.speak(1_000)
    talk.session.note_dropped(400 * 48)
    talk.speak(1_000)
    talk.turn("q", 700, 1_500)
    assert talk.spans() == {"q": (1_100, 1_900)}


def test_push_to_talk_is_from_one_release_to_the_next() -> None:
    talk = Talk("audio", turn_detection=None)
    talk.ready()
    talk.speak(400)
    talk.say("input.clear")
    talk.speak(800)
    talk.say("input.commit")
    talk.speak(200)
    talk.up("input_audio_buffer.committed", item_id="q1")
    talk.say("input.commit")
    talk.up("input_audio_buffer.committed", item_id="q2")
    assert talk.spans() == {"q1": (400, 1_200), "q2": (1_200, 1_400)}


def test_a_message_of_which_nothing_was_kept_says_so() -> None:
    talk = Talk("transcript")
    talk.ready()
    talk.speak(2_000)
    talk.say("session.configure", keep="audio")
    talk.turn("q", 400, 1_600)
    assert talk.spans() == {}
    assert talk.kept_ms("q") is None


def test_of_an_answer_what_was_played_is_kept_and_nothing_twice() -> None:
    talk = Talk("audio")
    talk.ready()
    talk.answer("a", 2_000)
    for played_ms in (500, 500, 300, 2_000):
        talk.say("playout.position", item_id="a", samples=played_ms * MS, buffered_ms=0)
    assert talk.heard() == [("a", 0, 500), ("a", 500, 2_000)]
    assert talk.kept_ms("a") == 2_000


@pytest.mark.parametrize(
    ("told_ms", "kept"), [(900, [("a", 0, 500), ("a", 500, 900)]), (500, [("a", 0, 500)])]
)
def test_after_a_clear_what_had_still_been_played_is_kept_too(told_ms: int, kept: list[Any]) -> None:
    talk = Talk("audio")
    talk.ready()
    talk.answer("a", 2_000)
    talk.say("playout.position", item_id="a", samples=500 * MS, buffered_ms=0)
    talk.say("interrupt")
    talk.say("playout.cleared", item_id="a", samples=told_ms * MS)
    assert talk.heard() == kept
    assert talk.kept_ms("a") == told_ms


def test_consent_that_was_taken_back_holds_for_the_answer_that_sounds() -> None:
    talk = Talk("audio")
    talk.ready()
    talk.answer("a", 2_000)
    talk.say("playout.position", item_id="a", samples=500 * MS, buffered_ms=0)
    talk.say("session.configure", keep="transcript")
    talk.say("playout.position", item_id="a", samples=1_500 * MS, buffered_ms=0)
    assert talk.heard() == [("a", 0, 500)]


def test_without_consent_a_frame_leaves_nothing_behind() -> None:
    talk = Talk("transcript")
    talk.ready()
    talk.speak(2_000)
    talk.answer("a", 1_000)
    talk.say("playout.position", item_id="a", samples=500 * MS, buffered_ms=0)
    assert not [*talk.of(KeepAudio), *talk.of(KeepSpan), *talk.of(RecordAudio)]
    assert not talk.session.talk.playout.heard


def test_a_text_session_keeps_no_audio() -> None:
    talk = Talk("audio", modality="text")
    assert not talk.of(RecordAudio)


def test_a_message_that_began_under_one_choice_is_finished_under_it() -> None:
    talk = Talk("transcript")
    talk.ready()
    talk.say("input.text", text="kept", client_id="1")
    talk.say("session.configure", keep="nothing")
    talk.say("input.text", text="not kept", client_id="2")
    talk.say("session.configure", keep="transcript")
    talk.say("input.text", text="kept again", client_id="3")
    talk.do(talk.session.end("person_ended", talk.now_ms))
    assert {message.text for message in talk.of(RecordMessage)} == {"kept", "kept again"}


@pytest.mark.parametrize(
    ("now", "stored", "then"),
    [("audio", "nothing", "nothing"), ("audio", "transcript", "transcript"), ("nothing", "audio", "nothing")],
)
def test_the_stored_choice_takes_away_and_never_gives(now: str, stored: str, then: str) -> None:
    talk = Talk(now)
    talk.do(talk.session.keep(stored, 5))
    assert talk.session.talk.keeping.level == then


def test_a_page_that_comes_back_is_told_again_that_audio_is_kept() -> None:
    talk = Talk("audio")
    talk.do(talk.session.browser_gone(100))
    talk.effects.clear()
    talk.do(talk.session.attach({"uplink_samples": 0, "client": {}}, 200))
    told = [effect.message["on"] for effect in talk.of(SendBrowser) if effect.message["type"] == "recording"]
    assert told == [True]


def test_what_a_page_had_captured_while_it_was_away_sounded_when_it_was_said() -> None:
    talk = Talk("audio")
    talk.ready()
    talk.speak(1_000)
    talk.do(talk.session.browser_gone(talk.now_ms))
    talk.now_ms += 4_000
    talk.do(talk.session.attach({"uplink_samples": 5_000 * MS, "client": {}}, talk.now_ms))
    for _ in range(100):  # the 4 s of the gap, at once
        talk.do(talk.session.browser_audio(bytes(FRAME_MS * 48), talk.now_ms))
    at = [piece.at_ms for piece in talk.of(KeepAudio)]
    assert at == [n * FRAME_MS for n in range(125)]
