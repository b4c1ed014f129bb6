"""What a session may spend: one answer is reserved ahead, none begins without, the bounds are bounds."""

from __future__ import annotations

import base64
import dataclasses
import random
from decimal import Decimal
from typing import Any

import pytest

from realtime.allowance import STRETCH, Context, Verdict, answer_usd, first_answer_usd, stretch_usd
from realtime.conf import RelayConfig, Seed
from realtime.effects import Effect, End, RecordUsage, Release, Reserve, SendUpstream
from realtime.exceptions import UpstreamLost
from realtime.session import ENDED, Session
from realtime.usage import Rate, Rates

RATE = Rate(
    text_in=Decimal(4), text_cached=Decimal("0.4"), text_out=Decimal(24),
    audio_in=Decimal(32), audio_cached=Decimal("0.4"), audio_out=Decimal(64),
)  # fmt: skip
CONFIG = RelayConfig(
    upstream_url="wss://u.example/v1/realtime", model="m", voice="marin", instructions="Be brief.", limited=True,
    turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    rates=Rates(by_model={"m": RATE, "gpt-transcribe": Rate(per_minute=Decimal("0.0045"))}),
    heartbeat_ms=10**9, idle_ms=10**9,
)  # fmt: skip
TEXT = dataclasses.replace(CONFIG, modality="text", turn_detection=None)
SECOND = base64.b64encode(bytes(48_000)).decode()


def ready(config: RelayConfig = CONFIG) -> Session:
    session = Session(config, random.Random(1), "s")
    session.attach({"uplink_samples": 0}, 0)
    session.upstream_opened(0)
    session.upstream_event({"type": "session.updated"}, 0)
    return session


def begin(session: Session, response_id: str, now_ms: int = 1) -> list[Effect]:
    return session.upstream_event({"type": "response.created", "response": {"id": response_id}}, now_ms)


def finish(
    session: Session, response_id: str, now_ms: int = 2, usage: Any = None, **more: Any
) -> list[Effect]:
    done = {"id": response_id, "status": "completed", "usage": usage, **more}
    return session.upstream_event({"type": "response.done", "response": done}, now_ms)


def wishes(effects: list[Effect]) -> list[str]:
    return [effect.reference for effect in effects if isinstance(effect, Reserve)]


def sent(effects: list[Effect]) -> list[str]:
    return [effect.event["type"] for effect in effects if isinstance(effect, SendUpstream)]


def usage(text_in: int = 0, audio_in: int = 0, text_out: int = 0, audio_out: int = 0) -> dict[str, Any]:
    return {
        "output_tokens": text_out + audio_out,
        "input_token_details": {"text_tokens": text_in, "audio_tokens": audio_in},
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }


def typed(session: Session, text: str = "And?", now_ms: int = 3) -> list[Effect]:
    return session.browser_message({"type": "input.text", "text": text, "client_id": text}, now_ms)


# ---- one ahead ------------------------------------------------------------------------------------------------


def test_as_an_answer_begins_the_next_one_is_reserved() -> None:
    session = ready()
    assert wishes(begin(session, "r1")) == ["answer_2"]
    session.reserved("answer_2", Verdict.GRANTED, 2)
    assert wishes(begin(session, "r2")) == ["answer_3"]


def test_the_usage_of_an_answer_settles_its_reservation() -> None:
    session = ready()
    begin(session, "r1")
    session.reserved("answer_2", Verdict.GRANTED, 2)
    [kept] = [e for e in finish(session, "r1", usage=usage(text_in=5)) if isinstance(e, RecordUsage)]
    assert (kept.settles, kept.estimated) == ("answer_1", False)


def test_an_answer_that_we_ask_for_waits_for_its_reservation() -> None:
    session = ready(TEXT)
    begin(session, "r1")
    finish(session, "r1", usage=usage())
    assert sent(typed(session)) == ["conversation.item.create"]
    assert sent(session.reserved("answer_2", Verdict.GRANTED, 4)) == ["response.create"]


def test_without_a_budget_nothing_waits() -> None:
    session = ready(dataclasses.replace(TEXT, limited=False))
    begin(session, "r1")
    finish(session, "r1", usage=usage())
    assert sent(typed(session)) == ["conversation.item.create", "response.create"]
    for number, verdict in enumerate((Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.UNLIMITED), 2):
        session.reserved(f"answer_{number}", verdict, 5)
        assert sent(begin(session, f"r{number}", 6)) == []
        finish(session, f"r{number}", 7)
    assert session.deadlines.keys().isdisjoint({"budget"})


def test_an_answer_that_the_upstream_begins_early_takes_the_reservation_that_is_on_its_way() -> None:
    session = ready()
    begin(session, "r1")
    finish(session, "r1", usage=usage())
    assert sent(begin(session, "r2")) == []
    assert wishes(session.reserved("answer_2", Verdict.GRANTED, 3)) == ["answer_3"]
    [kept] = [e for e in finish(session, "r2", usage=usage()) if isinstance(e, RecordUsage)]
    assert kept.settles == "answer_2"


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.UNKNOWN])
def test_an_answer_without_a_reservation_is_stopped(verdict: Verdict) -> None:
    session = ready()
    begin(session, "r1")
    finish(session, "r1", usage=usage())
    begin(session, "r2")
    assert "response.cancel" in sent(session.reserved("answer_2", verdict, 3))
    finish(session, "r2", status="cancelled")
    assert "response.cancel" in sent(begin(session, "r3", 4))


# ---- no room -----------------------------------------------------------------------------------------------------


def refused() -> Session:
    """A session that heard of no room for a second answer while its first one is under way."""
    session = ready()
    begin(session, "r1")
    session.reserved("answer_2", Verdict.REFUSED, 2)
    return session


def test_when_there_is_no_room_the_upstream_may_begin_nothing_by_itself_any_more() -> None:
    session = ready()
    begin(session, "r1")
    effects = session.reserved("answer_2", Verdict.REFUSED, 2)
    [update] = [e.event for e in effects if isinstance(e, SendUpstream)]
    assert update["session"]["audio"]["input"]["turn_detection"]["create_response"] is False
    chosen = {"type": "session.configure", "turn_detection": {"type": "server_vad", "threshold": 0.5}}
    [update] = [e.event for e in session.browser_message(chosen, 3) if isinstance(e, SendUpstream)]
    assert update["session"]["audio"]["input"]["turn_detection"]["create_response"] is False
    assert CONFIG.turn_detection is not None
    assert CONFIG.turn_detection["create_response"] is True


def test_the_answer_under_way_is_finished_and_then_the_call_ends() -> None:
    session = refused()
    assert not [e for e in session.tick(1_002) if isinstance(e, End)]
    session.reserved("answer_3", Verdict.REFUSED, 1_003)
    finish(session, "r1", 1_500, usage=usage())
    effects: list[Effect] = []
    while session.phase != ENDED:
        at_ms = session.deadline_ms()
        assert at_ms is not None
        assert at_ms <= 6_000
        effects += session.tick(at_ms)
        for reference in wishes(effects[-3:]):
            session.reserved(reference, Verdict.REFUSED, at_ms)
    assert [(e.reason, e.close_code) for e in effects if isinstance(e, End)] == [("budget", 4429)]


def test_room_that_an_answer_of_our_own_gives_back_is_used() -> None:
    session = refused()
    finish(session, "r1", 500, usage=usage())
    assert sent(typed(session, now_ms=600)) == ["conversation.item.create"]
    [again] = [wish for wish in wishes(session.tick(1_002)) if wish != STRETCH]
    effects = session.reserved(again, Verdict.GRANTED, 1_010)
    assert sent(effects) == ["session.update", "response.create"]
    assert session.talk.turn_detection is not None
    assert session.talk.turn_detection["create_response"] is True


def test_speech_that_was_not_answered_for_want_of_room_is_answered_when_there_is_some() -> None:
    session = refused()
    finish(session, "r1", 500, usage=usage())
    session.upstream_event({"type": "input_audio_buffer.committed", "item_id": "i"}, 600)
    [again] = [wish for wish in wishes(session.tick(1_002)) if wish != STRETCH]
    assert "response.create" in sent(session.reserved(again, Verdict.GRANTED, 1_010))


def test_a_database_that_does_not_answer_ends_no_call() -> None:
    session = ready()
    begin(session, "r1")
    session.reserved("answer_2", Verdict.UNKNOWN, 2)
    finish(session, "r1", 3, usage=usage())
    for at_ms in range(1_010, 30_000, 1_000):
        for reference in wishes(session.tick(at_ms)):
            session.reserved(reference, Verdict.UNKNOWN, at_ms)
    assert session.phase != ENDED


# ---- the time of the call -----------------------------------------------------------------------------------------


def test_time_is_reserved_a_minute_ahead_and_the_call_ends_with_it() -> None:
    session = ready()
    [wish] = [e for e in session.tick(20_000) if isinstance(e, Reserve)]
    assert (wish.reference, wish.seconds) == (STRETCH, 80)
    session.reserved(STRETCH, Verdict.GRANTED, 20_001)
    ended_at_ms = None
    for at_ms in range(21_000, 200_000, 1_000):
        effects = session.tick(at_ms)
        if STRETCH in wishes(effects):
            session.reserved(STRETCH, Verdict.REFUSED, at_ms)
        if session.phase == ENDED:
            ended_at_ms = at_ms
            break
    assert ended_at_ms in (80_000, 81_000)


def test_a_written_session_reserves_no_time() -> None:
    session = ready(TEXT)
    assert STRETCH not in wishes(session.tick(20_000))
    assert session.phase != ENDED


def test_speech_without_its_transcript_stays_reserved() -> None:
    session = ready()

    def reserved_s(at_ms: int) -> int:
        [wish] = [e for e in session.tick(at_ms) if isinstance(e, Reserve) and e.reference == STRETCH]
        session.reserved(STRETCH, Verdict.GRANTED, at_ms)
        assert wish.usd is not None
        return round(wish.usd / (Decimal("0.0045") * Decimal("1.25") / 60))

    assert reserved_s(20_000) == 80
    session.upstream_event({"type": "input_audio_buffer.committed", "item_id": "i"}, 30_000)
    assert reserved_s(40_000) == 100
    session.upstream_event(
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i", "transcript": "a"},
        41_000,
    )
    assert reserved_s(60_000) == 90


# ---- bounds --------------------------------------------------------------------------------------------------------


def test_the_first_answer_is_bounded_by_all_that_is_told_and_all_that_may_be_said() -> None:
    history = (Seed("user", "ü" * 1_000),)
    bound = first_answer_usd(dataclasses.replace(CONFIG, history=history, instructions="x" * 500))
    assert bound is not None
    least = (2_500 * 4 + 2_048 * 64) / Decimal(1_000_000)
    assert least < bound < least + Decimal("0.05")


def test_what_the_upstream_counted_takes_the_place_of_what_we_guessed() -> None:
    session = ready(TEXT)
    typed(session, "a" * 4_000, 1)
    begin(session, "r1")
    session.reserved("answer_2", Verdict.GRANTED, 2)
    finish(session, "r1", usage=usage(text_in=1_100, text_out=100))
    [dearer] = [e.usd for e in begin(session, "r2") if isinstance(e, Reserve)]
    assert dearer == answer_usd(TEXT, Context(text=1_200 + TEXT.max_output_tokens))


def test_an_answer_in_hand_that_has_become_dearer_is_reserved_anew_or_given_back() -> None:
    session = ready(TEXT)
    for number in range(4):
        typed(session, "b" * 4_000 + str(number), number)
    session.reserved("x", Verdict.GRANTED, 5)  # of something that is no more; time goes on
    [wish] = [e for e in session.tick(20_005) if isinstance(e, Reserve)]
    assert wish.reference == "answer_1"
    assert (wish.usd or 0) > (first_answer_usd(TEXT) or 0) + Decimal("0.06")
    effects = session.reserved("answer_1", Verdict.REFUSED, 20_006)
    assert [e.reference for e in effects if isinstance(e, Release)] == ["answer_1"]
    assert not session.talk.allowance.funded


@pytest.mark.parametrize("missing", ["text_in", "text_out", "audio_in", "audio_out"])
def test_a_price_that_is_missing_makes_an_unknown_bound(missing: str) -> None:
    rates = Rates(by_model={"m": dataclasses.replace(RATE, **{missing: None})})
    assert first_answer_usd(dataclasses.replace(CONFIG, rates=rates)) is None
    assert stretch_usd(dataclasses.replace(CONFIG, rates=rates), 60) is None
    assert first_answer_usd(dataclasses.replace(CONFIG, rates=Rates(free=True))) == 0


# ---- what is never told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "lost", "cancelled"])
def test_an_answer_that_is_cut_off_before_its_usage_is_told_is_charged_by_our_own_count(how: str) -> None:
    session = ready()
    begin(session, "r1")
    audio = {"type": "response.output_audio.delta", "item_id": "i", "response_id": "r1", "delta": SECOND}
    session.upstream_event(audio, 2)
    effects = {
        "end": lambda: session.browser_message({"type": "session.end"}, 3),
        "lost": lambda: session.upstream_closed(UpstreamLost(), 3),
        "cancelled": lambda: finish(session, "r1", 3, status="cancelled"),
    }[how]()
    [kept] = [e for e in effects if isinstance(e, RecordUsage) and e.meter == "response"]
    assert (kept.reference, kept.estimated, kept.settles) == ("r1", True, "answer_1")
    assert kept.audio_out == 20
    assert kept.text_in >= len(CONFIG.instructions)


def test_an_answer_that_failed_is_not_charged() -> None:
    session = ready()
    begin(session, "r1")
    effects = finish(session, "r1", status="failed")
    assert not [e for e in effects if isinstance(e, RecordUsage)]
    assert [e.reference for e in effects if isinstance(e, Release)] == ["answer_1"]


def test_random_talks_never_have_an_answer_going_on_without_a_reservation() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        session, now_ms, number = ready(), 0, 0
        running: str | None = None
        unlimited_once: set[str | None] = set()  # nothing bound the session while this answer ran
        asked: list[str] = []
        for _ in range(60):
            now_ms += rng.randint(1, 700)
            effects: list[Effect] = []
            if asked and rng.random() < 0.6:
                effects = session.reserved(asked.pop(0), rng.choice(list(Verdict)), now_ms)
            elif running is None and rng.random() < 0.5:
                number += 1
                running = f"r{number}"
                effects = begin(session, running, now_ms)
            elif running is not None and rng.random() < 0.5:
                effects = finish(session, running, now_ms, usage=rng.choice([None, usage(text_in=9)]))
                running = None
            elif (due := session.deadline_ms()) is not None and due <= now_ms:
                effects = session.tick(now_ms)
            asked += wishes(effects)
            if session.phase == ENDED:
                break
            allowance = session.talk.allowance
            if not allowance.limited:
                unlimited_once.add(running)
            if running is not None and running not in unlimited_once | session.talk.gate.cancelled:
                assert running in allowance.running or allowance.owing == running, seed
