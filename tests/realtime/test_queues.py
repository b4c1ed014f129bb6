"""Bounds: audio goes oldest first and is counted, control stays, a clear overtakes and empties what it must."""

import json

from realtime.queues import Budget, Outbox, Uplink


def test_the_way_up_drops_the_oldest_audio_and_never_control() -> None:
    uplink = Uplink(max_audio_bytes=200)
    uplink.put_audio(b"\x01\x00" * 50)
    uplink.put_control({"type": "input_audio_buffer.commit"})
    uplink.put_audio(b"\x02\x00" * 50)
    uplink.put_audio(b"\x03\x00" * 50)
    assert uplink.dropped_bytes == 100
    kinds = [json.loads(text)["type"] for text in iter(uplink.pop, None)]
    assert kinds == ["input_audio_buffer.commit", "input_audio_buffer.append", "input_audio_buffer.append"]


def test_audio_of_a_resume_is_never_dropped() -> None:
    uplink = Uplink(max_audio_bytes=100)
    for _ in range(10):
        uplink.put_audio(bytes(100), keep=True)
    assert uplink.dropped_bytes == 0
    assert len(uplink) == 10


def test_a_cancel_overtakes_audio_but_a_commit_does_not() -> None:
    uplink = Uplink(10_000)
    uplink.put_audio(bytes(100))
    uplink.put_control({"type": "input_audio_buffer.commit"})
    uplink.put_control({"type": "response.cancel"}, overtakes=True)
    kinds = [json.loads(text)["type"] for text in iter(uplink.pop, None)]
    assert kinds == ["response.cancel", "input_audio_buffer.append", "input_audio_buffer.commit"]


def test_a_clear_empties_the_audio_that_waits_for_the_page() -> None:
    outbox = Outbox(1_000_000)
    outbox.put_message({"type": "audio.begin", "item_id": "a"})
    outbox.put_audio(bytes(100))
    outbox.put_message({"type": "transcript.done", "item_id": "a"})
    outbox.put_message({"type": "audio.end", "item_id": "a"})
    outbox.put_message({"type": "audio.clear", "item_id": "a"}, overtakes=True)
    kinds = [json.loads(payload)["type"] for payload in iter(outbox.pop, None)]
    assert kinds == ["audio.clear", "transcript.done"]
    assert outbox.bytes == 0


def test_a_page_that_does_not_read_is_noticed() -> None:
    outbox = Outbox(1_000)
    outbox.put_audio(bytes(1_000))
    assert not outbox.overfull
    outbox.put_audio(bytes(2))
    assert outbox.overfull


def test_a_budget_refills_with_time_and_spends_credit_first() -> None:
    budget = Budget(rate_per_s=100, burst=50)
    assert budget.take(50, 0)
    assert not budget.take(1, 0)
    assert budget.take(10, 100)
    budget.credit = 500
    assert budget.take(500, 100)
    assert not budget.take(1, 100)
