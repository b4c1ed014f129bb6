"""One response at a time: wishes wait, collisions are harmless, a cancel before the response exists still cancels."""

from realtime.gate import REQUEST_DEADLINE_MS, Phase, ResponseGate

ACTIVE = "conversation_already_has_active_response"


def kinds(sent: list) -> list[str]:
    return [effect.event["type"] for effect in sent]


def test_a_wish_is_asked_for_at_once_when_nothing_runs() -> None:
    gate = ResponseGate(30)
    assert kinds(gate.want(0)) == ["response.create"]
    assert gate.want(1) == []


def test_a_wish_waits_for_the_running_response() -> None:
    gate = ResponseGate(30)
    gate.created("r1", 0)
    assert gate.want(1) == []
    assert kinds(gate.done("r1", 2)) == ["response.create"]


def test_a_collision_is_asked_for_again_when_the_other_is_done() -> None:
    gate = ResponseGate(30)
    (ask,) = gate.want(0)
    assert gate.refused(ask.event["event_id"], "conversation_already_has_active_response", 1)
    assert gate.advance(2) == []
    assert kinds(gate.done("other", 3)) == ["response.create"]


def test_a_cancel_before_the_response_exists_cancels_it_when_it_does() -> None:
    gate = ResponseGate(30)
    gate.want(0)
    assert gate.cancel() == []
    (cancel,) = gate.created("r1", 1)
    assert cancel.event["type"] == "response.cancel"
    assert cancel.event["response_id"] == "r1"
    assert "r1" in gate.cancelled


def test_a_cancel_is_sent_once() -> None:
    gate = ResponseGate(30)
    gate.created("r1", 0)
    assert kinds(gate.cancel()) == ["response.cancel"]
    assert gate.cancel() == []
    assert gate.refused("stop_r1", "response_cancel_not_active", 1)


def test_the_answers_of_a_minute_have_a_limit() -> None:
    gate = ResponseGate(2)
    for number in range(2):
        gate.want(number)
        gate.created(f"r{number}", number)
        gate.done(f"r{number}", number)
    assert gate.want(10) == []
    assert kinds(gate.advance(60_001)) == ["response.create"]


def test_a_request_without_an_answer_is_given_up_in_time() -> None:
    gate = ResponseGate(30)
    gate.want(5)
    assert gate.deadline_ms() == 5 + REQUEST_DEADLINE_MS
    gate.expired(5 + REQUEST_DEADLINE_MS)
    assert gate.phase is Phase.FREE


def test_nothing_is_asked_for_while_the_page_is_away() -> None:
    gate = ResponseGate(30)
    gate.held = True
    assert gate.want(0) == []
    gate.held = False
    assert kinds(gate.advance(1)) == ["response.create"]


def test_a_wish_that_met_a_response_of_the_upstreams_own_is_asked_for_when_that_is_done() -> None:
    gate = ResponseGate(30)
    (ask,) = gate.want(0)
    gate.created("of a spoken turn", 1)  # the upstream tells it before it refuses ours
    assert gate.refused(ask.event["event_id"], ACTIVE, 2)
    assert kinds(gate.done("of a spoken turn", 3)) == ["response.create"]


def test_an_error_that_comes_after_a_stop_revives_no_wish() -> None:
    gate = ResponseGate(30)
    (ask,) = gate.want(0)
    gate.created("of a spoken turn", 1)
    gate.cancel()
    assert not gate.refused(ask.event["event_id"], ACTIVE, 2)
    assert gate.done("of a spoken turn", 3) == []


def test_a_stop_of_what_was_refused_stops_nothing_later() -> None:
    gate = ResponseGate(30)
    (ask,) = gate.want(0)
    gate.cancel()
    gate.want(1)  # typed again before the first one was answered
    assert gate.refused(ask.event["event_id"], ACTIVE, 2)
    assert kinds(gate.done("other", 3)) == ["response.create"]
    assert gate.created("r2", 4) == []
    assert "r2" not in gate.cancelled


def test_a_stop_is_kept_when_what_it_stopped_was_refused() -> None:
    gate = ResponseGate(30)
    (ask,) = gate.want(0)
    gate.cancel()
    assert gate.refused(ask.event["event_id"], ACTIVE, 1)
    assert gate.done("other", 2) == []


def test_the_next_upstream_is_asked_for_a_wish_and_not_for_one_that_was_taken_back() -> None:
    gate = ResponseGate(30)
    gate.want(0)
    gate.reset()
    assert kinds(gate.advance(1)) == ["response.create"]
    gate.cancel()
    gate.reset()
    assert gate.advance(2) == []


def test_what_waits_behind_a_response_that_got_stuck_is_asked_for() -> None:
    gate = ResponseGate(30)
    gate.created("r1", 0)
    assert gate.want(1) == []
    assert kinds(gate.stuck(10_000)) == ["response.cancel", "response.create"]
    gate = ResponseGate(30)
    gate.created("r1", 0)
    assert kinds(gate.stuck(10_000)) == ["response.cancel"]
