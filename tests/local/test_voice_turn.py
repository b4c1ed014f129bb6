"""A spoken turn, from the first loud frame to the end of the answer: events, their order, and what can go otherwise."""

from __future__ import annotations

import base64

from realtime.local.effects import Close, Respond, StopResponding, Transcribe
from tests.local.pure_session import PureSession, error_of, types

TRANSCRIBED = {"input": {"transcription": {"model": "gpt-transcribe"}}}
ITEM = ["conversation.item.added", "conversation.item.done"]
ANSWER_BEGINS = ["response.output_item.added", "conversation.item.added", "response.content_part.added"]
ANSWER_ENDS = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def asked_turn(session: PureSession, text: str = "Hello.") -> str:
    """A spoken turn up to the request for an answer; returns the user item's id."""
    started = session.speech()
    session.silence()
    session.recognise(text)
    item_id: str = started[-1]["item_id"]
    return item_id


def test_the_order_of_a_voice_turn_is_the_recorded_one(session: PureSession) -> None:
    session.configure(audio=TRANSCRIBED)
    assert types(session.speech()) == ["input_audio_buffer.speech_started"]
    assert types(session.silence()) == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        *ITEM,
        "response.created",
    ]
    assert types(session.recognise("What time is it?")) == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert types(session.say("It is noon.", audio_ms=500)) == [
        *ANSWER_BEGINS,
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
    ]
    assert types(session.finish()) == [*ANSWER_ENDS, "rate_limits.updated"]


def test_the_user_item_is_announced_by_speech_started(session: PureSession) -> None:
    (started,) = session.speech()
    stopped, committed, added, done, _ = session.silence()
    ids = {
        started["item_id"],
        stopped["item_id"],
        committed["item_id"],
        added["item"]["id"],
        done["item"]["id"],
    }
    assert len(ids) == 1
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (0, 1100)


def test_the_answer_follows_the_user_item(session: PureSession) -> None:
    item_id = asked_turn(session)
    added = next(event for event in session.say("Yes.") if event["type"] == "conversation.item.added")
    assert added["previous_item_id"] == item_id
    assert (added["item"]["status"], added["item"]["content"]) == ("in_progress", [])


def test_the_answer_is_asked_for_with_what_was_heard(session: PureSession) -> None:
    asked_turn(session, "What time is it?")
    (request,) = session.requests()
    assert [(line.role, line.text) for line in request.lines] == [("user", "What time is it?")]


def test_the_final_text_is_computed_at_the_first_pause(session: PureSession) -> None:
    session.configure(audio=TRANSCRIBED)
    session.speech()
    session.silence(300)
    assert session.recognise("Stop.", "speculative") == []
    assert types(session.silence(300))[-2:] == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert isinstance(session.effects[-1], Respond)


def test_a_pause_that_was_not_the_end_is_recognised_again(session: PureSession) -> None:
    session.configure(audio=TRANSCRIBED)
    session.speech()
    session.silence(300)
    session.recognise("I think", "speculative")
    session.speech(400)
    session.silence(600)
    assert session.requests() == []
    session.recognise("I think so.")
    assert session.requests()[0].lines[0].text == "I think so."


def test_partial_transcripts_are_never_taken_back(session: PureSession) -> None:
    session.configure(audio=TRANSCRIBED)
    session.speech(500)
    assert session.recognise("Hello wor", "partial") == []
    session.speech(400)
    assert [event["delta"] for event in session.recognise("Hello world how", "partial")] == ["Hello"]
    session.speech(400)
    assert [event["delta"] for event in session.recognise("Hello world how are", "partial")] == [" world"]
    session.silence()
    events = session.recognise("Hello, world, how are you?", "speculative")
    assert events[0]["delta"] == " how are you?"
    assert events[1]["transcript"] == "Hello, world, how are you?"


def test_nothing_is_recognised_early_when_nobody_wants_to_read_it(session: PureSession) -> None:
    session.speech(2000)
    assert not [effect for effect in session.effects if isinstance(effect, Transcribe)]


def test_barge_in_cancels_the_answer(session: PureSession) -> None:
    asked_turn(session)
    session.say("A long story.", audio_ms=3000)
    events = session.speech()
    assert types(events) == ["input_audio_buffer.speech_started", *ANSWER_ENDS]
    response = events[-1]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert response["output"][0]["status"] == "incomplete"
    assert session.effects[-1] == StopResponding(response["id"])


def test_pieces_of_a_cancelled_answer_are_dropped(session: PureSession) -> None:
    asked_turn(session)
    session.say("A long story.")
    session.speech()
    assert session.say("And then", audio_ms=100) == []
    assert session.finish() == []


def test_interrupt_response_false_lets_the_answer_go_on(session: PureSession) -> None:
    session.configure(
        audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    asked_turn(session)
    session.say("A long story.")
    assert types(session.speech()) == ["input_audio_buffer.speech_started"]
    events = session.silence()
    assert events[-1]["error"]["code"] == "conversation_already_has_active_response"
    assert types(session.finish())[-1] == "rate_limits.updated"


def test_create_response_false_only_reports(session: PureSession) -> None:
    session.configure(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    session.speech()
    assert "response.created" not in types(session.silence())
    session.recognise("Hello.")
    assert session.requests() == []


def test_push_to_talk_commits_and_answers_only_on_request(session: PureSession) -> None:
    session.configure(audio={"input": {"turn_detection": None}})
    assert session.speech(400) == []
    assert types(session.send("input_audio_buffer.commit")) == ["input_audio_buffer.committed", *ITEM]
    session.recognise("Hello.")
    assert types(session.send("response.create")) == ["response.created"]
    assert session.requests()[0].lines[0].text == "Hello."


def test_a_commit_of_less_than_100_ms_is_refused(session: PureSession) -> None:
    session.configure(audio={"input": {"turn_detection": None}})
    session.hear(80, 0.9)
    error = error_of(session.send("input_audio_buffer.commit"))
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert "80.00ms" in error["message"]


def test_clear_forgets_what_was_said(session: PureSession) -> None:
    session.configure(audio={"input": {"turn_detection": None}})
    session.speech(400)
    assert types(session.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert error_of(session.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_the_committed_audio_is_the_turn_with_its_prefix(session: PureSession) -> None:
    session.silence(1000)
    started = session.speech(400)
    session.silence()
    (retrieved,) = session.send("conversation.item.retrieve", item_id=started[0]["item_id"])
    audio = base64.b64decode(retrieved["item"]["content"][0]["audio"])
    assert len(audio) == (300 + 400 + 500) * 48


def test_audio_that_is_no_base64_or_half_a_sample_is_refused(session: PureSession) -> None:
    for audio in ("not base64!", base64.b64encode(b"abc").decode()):
        assert error_of(session.send("input_audio_buffer.append", audio=audio))["param"] == "audio"


def test_a_failed_recognition_is_told_and_answered(session: PureSession) -> None:
    session.configure(audio=TRANSCRIBED)
    session.speech()
    session.silence()
    work = session.asked(Transcribe)
    place = work.item_id, work.take, work.kind
    events = session.take(session.session.not_transcribed(*place, "server_busy", "Busy.", 0.0))
    assert types(events) == ["conversation.item.input_audio_transcription.failed"]
    assert session.requests()[0].lines[0].text == ""


def test_idle_timeout_counts_from_the_end_of_playback() -> None:
    session = PureSession()
    session.configure(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
    asked_turn(session)
    session.say("Yes.", audio_ms=2000)
    session.finish()
    session.silence(400)
    assert session.session.next_deadline_ms() == 7000
    assert session.tick(6999) == []
    assert types(session.tick(7000)) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        *ITEM,
        "response.created",
    ]
    assert session.requests()[-1].prompted_by == "silence"


def test_speech_stops_the_idle_timeout() -> None:
    session = PureSession()
    session.configure(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
    asked_turn(session)
    session.finish()
    session.speech()
    assert session.tick(20_000) == []


def test_a_session_ends_at_its_longest_duration() -> None:
    session = PureSession(max_session_ms=3_600_000)
    assert session.tick(3_599_999) == []
    (event,) = session.tick(3_600_000)
    assert event["error"]["code"] == "session_expired"
    assert session.effects[-1] == Close(1001, "Your session hit the maximum duration of 60 minutes.")
    assert session.tick(3_700_000) == []


def test_g711_input_and_output_are_counted_in_their_own_bytes() -> None:
    session = PureSession()
    format = {"type": "audio/pcmu"}
    session.configure(
        audio={"input": {"format": format, "turn_detection": None}, "output": {"format": format}}
    )
    session.send("input_audio_buffer.append", audio=base64.b64encode(bytes(8 * 300)).decode())
    (committed, *_) = session.send("input_audio_buffer.commit")
    (retrieved,) = session.send("conversation.item.retrieve", item_id=committed["item_id"])
    assert len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) == 2400
    session.recognise("Hi.")
    session.send("response.create")
    request = session.requests()[-1]
    added = session.take(session.session.answer_audio(request.response_id, bytes(8 * 1000), 0.0))
    item_id = added[0]["item"]["id"]
    session.finish()
    cut = {"item_id": item_id, "content_index": 0}
    assert (
        error_of(session.send("conversation.item.truncate", **cut, audio_end_ms=1001))["param"]
        == "audio_end_ms"
    )
    assert types(session.send("conversation.item.truncate", **cut, audio_end_ms=1000)) == [
        "conversation.item.truncated"
    ]
