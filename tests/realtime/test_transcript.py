"""Messages of a session: order by onset, and how much of a text was heard."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.conf import Seed
from realtime.transcript import LEAST_CHARS, TOLD_CHARS, TOLD_MESSAGES, Transcript, heard_characters, latest


def test_items_keep_the_order_of_their_onset_whatever_arrives_first() -> None:
    transcript = Transcript(first_position=1_000)
    person = transcript.open("u", "user", "voice", 0)
    assistant = transcript.open("a", "assistant", "voice", 10)
    person.shown = assistant.shown = True
    assistant.text = "Noon."
    assert transcript.record(assistant).position == 1_001
    person.text = "What is the time?"
    assert transcript.record(person).position == 1_000
    assert transcript.after(assistant) == "u"
    assert transcript.after(person) is None
    assert transcript.open("u", "user", "voice", 99) is person


def test_seeds_tell_what_was_heard_and_leave_out_what_failed() -> None:
    transcript = Transcript(0)
    for item_id, role, text, heard in (
        ("1", "user", "Hi", None),
        ("2", "assistant", "Hello there", 5),
        ("3", "user", "", None),
    ):
        item = transcript.open(item_id, role, "voice", 0)
        item.text, item.heard_chars, item.status = text, heard, "completed"
    transcript.open("4", "user", "voice", 0).status = "failed"
    assert transcript.seeds() == (Seed("user", "Hi"), Seed("assistant", "Hello"))


def test_a_new_upstream_is_told_the_last_messages_and_no_more_than_a_bound() -> None:
    many = [Seed("user", f"number {n}") for n in range(100)]
    assert latest(reversed(many)) == tuple(many[-TOLD_MESSAGES:])
    long = [Seed("user", f"{n} " + "x" * 3_000) for n in range(5)]
    told = latest(reversed(long))
    assert told[1:] == tuple(long[3:])
    assert told[0].text == "… " + "x" * (TOLD_CHARS - 2 * 3_002 - 2)


def test_of_a_message_that_is_longer_than_the_bound_its_end_is_told_from_the_start_of_a_word() -> None:
    words = "eleven signs " * 1_000
    (told,) = latest([Seed("assistant", words), Seed("user", "not told any more")])
    assert told.text.startswith("… signs eleven") or told.text.startswith("… eleven signs")
    assert words.endswith(told.text.removeprefix("… "))
    assert TOLD_CHARS - LEAST_CHARS <= len(told.text) <= TOLD_CHARS
    (told,) = latest([Seed("assistant", "語" * 9_000)])  # of a language that writes no spaces
    assert len(told.text) == TOLD_CHARS
    almost = [Seed("user", "y" * (TOLD_CHARS - 5)), Seed("user", "ten letters")]
    assert len(latest(almost)) == 1


def test_heard_text_ends_with_a_whole_word() -> None:
    text = "Once upon a time"
    assert text[: heard_characters(text, 500, 1_000)] == "Once"
    assert text[: heard_characters(text, 1_000, 1_000)] == text
    assert heard_characters(text, 0, 1_000) == 0
    assert heard_characters(text, 5, 0) == 0


@given(st.text(max_size=80), st.integers(0, 5_000), st.integers(0, 5_000))
def test_heard_characters_grow_with_time_and_stay_inside(text: str, heard_ms: int, generated_ms: int) -> None:
    count = heard_characters(text, heard_ms, generated_ms)
    assert 0 <= count <= len(text)
    assert count <= heard_characters(text, heard_ms + 100, generated_ms) or heard_ms == 0
