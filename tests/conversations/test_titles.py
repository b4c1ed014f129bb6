"""The automatic title: what it is made of, and its bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.titles import MAX_CHARS, title_from_exchange


@pytest.mark.parametrize(
    ("asked", "answered", "title"),
    [
        ("What is seven times eight?", "Fifty-six.", "What is seven times eight?"),
        ("Tell me a story. It should be long.", "Once upon a time", "Tell me a story"),
        ("  What\n\n is  this ?", "That.", "What"),
        ("Is 3.5 more than 3.25? I forgot.", "Yes.", "Is 3.5 more than 3.25?"),
        ("Pets, e.g. cats, please", "Cats.", "Pets, e.g. cats, please"),
        ("**Bold** [link](https://example.com) `code`", "Yes", "Bold link code"),
        ("snake_case or camelCase", "Either", "snake_case or camelCase"),
    ],
)
def test_the_first_sentence_of_the_person_is_the_title(asked: str, answered: str, title: str) -> None:
    assert title_from_exchange(asked, answered) == title


@pytest.mark.parametrize(
    "greeting", ["Hi", "hello!", "Hey there,", "Good morning.", "Hallo", "Guten Tag!", "👋", ""]
)
def test_a_mere_greeting_leaves_the_title_to_the_answer(greeting: str) -> None:
    assert title_from_exchange(greeting, "Hello! Bread needs time. Sit down.") == "Bread needs time"


def test_a_greeting_before_a_question_is_left_out() -> None:
    assert title_from_exchange("Hello, how do magnets work?", "Well.") == "How do magnets work?"


def test_a_word_that_begins_like_a_greeting_is_kept() -> None:
    assert title_from_exchange("Hippos of the Nile", "Big.") == "Hippos of the Nile"
    assert title_from_exchange("History of Rome", "Long.") == "History of Rome"


def test_two_greetings_still_make_a_title() -> None:
    assert title_from_exchange("Hi!", "Hello!") == "Hello!"


def test_marks_of_markdown_in_the_answer_are_left_out() -> None:
    assert title_from_exchange("hi", "# The *Moon*\n\n- far away") == "The Moon"


def test_nothing_said_makes_no_title() -> None:
    assert title_from_exchange("", "  \n") == ""


def test_a_long_title_ends_at_a_word() -> None:
    title = title_from_exchange(
        "Could you explain to me in the greatest detail how the internet works today", "Yes"
    )
    assert title == "Could you explain to me in the greatest detail how the…"
    assert len(title) <= MAX_CHARS


def test_a_long_word_is_cut() -> None:
    assert title_from_exchange("x" * 100, "") == "x" * (MAX_CHARS - 1) + "…"


def test_a_family_of_joined_signs_is_not_split() -> None:
    family = "👨\u200d👩\u200d👧"
    title = title_from_exchange("a" * 56 + family * 3, "")
    assert title == "a" * 56 + "…"


@given(asked=st.text(max_size=200), answered=st.text(max_size=200))
def test_any_text_makes_a_bounded_title_of_one_line(asked: str, answered: str) -> None:
    title = title_from_exchange(asked, answered)
    assert len(title) <= MAX_CHARS
    assert "\n" not in title
    assert title == title.strip()
