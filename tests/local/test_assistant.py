"""The rule-based assistant: what it can do, what it admits it cannot, and when it calls tools."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from realtime.local.assistant.numbers import with_digits
from realtime.local.assistant.tool_calls import told
from realtime.local.audio_formats import PCM
from realtime.local.effects import AnswerRequest, Line
from realtime.local.engine import Call, Piece, Say
from realtime.local.rules_responder import NOT_UNDERSTOOD, RulesResponder

NOW = dt.datetime(2026, 3, 4, 21, 5, tzinfo=dt.UTC)
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
TIMER = {
    "type": "function",
    "name": "startTimer",
    "parameters": {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]},
}
LIGHTS = {
    "type": "function",
    "name": "switch_lights",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}, "room": {"type": "string"}}},
}


class Talk:
    """A conversation with the assistant at a fixed moment."""

    def __init__(self, *tools: dict[str, Any], tool_choice: Any = "auto", instructions: str = "") -> None:
        self.lines: list[Line] = []
        self.tools, self.tool_choice, self.instructions = tools, tool_choice, instructions

    def pieces(self, prompted_by: Any) -> list[Piece]:
        request = AnswerRequest(
            response_id="resp_1",
            lines=tuple(self.lines),
            instructions=self.instructions,
            tools=self.tools,
            tool_choice=self.tool_choice,
            speaks=True,
            voice="marin",
            speed=1.0,
            format=PCM,
            turn_index=0,
            prompted_by=prompted_by,
        )
        pieces = list(RulesResponder(lambda: NOW).pieces(request))
        for piece in pieces:
            if isinstance(piece, Say):
                self.lines.append(Line("assistant", piece.text))
        return pieces

    def ask(self, text: str) -> str:
        return " ".join(piece.text for piece in self.ask_pieces(text) if isinstance(piece, Say))

    def ask_pieces(self, text: str) -> list[Piece]:
        self.lines.append(Line("user", text))
        return self.pieces("user")

    def call(self, text: str) -> tuple[str, str] | None:
        calls = [piece for piece in self.ask_pieces(text) if isinstance(piece, Call)]
        return (calls[0].name, calls[0].arguments) if calls else None


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("What time is it?", "It is 9:05 PM."),
        ("Hello, what time is it now?", "Hello! It is 9:05 PM."),
        ("What's the time in Tokyo?", "In Tokyo it is 6:05 AM tomorrow."),
        ("What day is it?", "Today is Wednesday, March 4, 2026."),
        ("What day is it tomorrow?", "Tomorrow is Thursday, March 5, 2026."),
        ("How many days until Christmas?", "There are 296 days until Christmas."),
        ("What is seven times eight?", "7 times 8 is 56."),
        ("What's 15% of 80?", "15% of 80 is 12."),
        ("How much is 12.5 plus three point five?", "12.5 plus 3.5 is 16."),
        ("The square root of one hundred and forty-four.", "The square root of 144 is 12."),
        ("What it ten plus twenty?", "10 plus 20 is 30."),
        ("two to the power of ten", "2 to the power of 10 is 1024."),
        ("What is 10 divided by three?", "10 divided by 3 is about 3.333333."),
        ("What is five divided by zero?", "Dividing by zero has no answer."),
        ("9 to the power of 9 to the power of 9", "That is too large for me to say."),
        ("How many feet are in a mile?", "1 mile is 5280 feet."),
        ("Convert ten kilometers to miles.", "10 kilometers is about 6.2137 miles."),
        ("What is twenty degrees celsius in fahrenheit?", "20 degrees Celsius is 68 degrees Fahrenheit."),
        ("How many minutes are there in a week?", "1 week is 10080 minutes."),
        (
            "Convert 60 miles per hour to kilometers per hour",
            "60 miles per hour is about 96.5606 kilometers per hour.",
        ),
        (
            "Convert 3 miles to kilograms",
            "I cannot convert miles to kilograms: they measure different things.",
        ),
        ("How do you spell rhythm?", "Rhythm is spelled R, H, Y, T, H, M."),
        ("Count to five.", "1, 2, 3, 4, 5."),
        ("Count down from three", "3, 2, 1."),
        ("Count to a million", "That would take a while. I count at most 30 numbers at a time."),
        ("Repeat after me: the sky is blue.", "The sky is blue."),
        ("Can you hear me?", "Yes, I hear you well."),
        ("How are you today? What is 2 + 2?", "I am well, thank you. How can I help? 2 + 2 is 4."),
        ("", NOT_UNDERSTOOD),
    ],
)
def test_what_it_can_do(said: str, reply: str) -> None:
    assert Talk().ask(said) == reply


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("Who are you?", "a small set of rules"),
        ("How do I connect a real model?", "OPENAI_API_KEY"),
        ("How do I add my API key?", "OPENAI_API_KEY"),
        ("Is this recorded?", "is not sent anywhere else"),
        ("Can I change the voice?", "voice"),
        ("Where are the settings?", "voice panel"),
        ("Do you speak German?", "English only"),
        ("Help!", "time and date"),
    ],
)
def test_it_explains_itself_and_the_product(said: str, part: str) -> None:
    assert part in Talk().ask(said)


def test_it_admits_what_it_cannot_and_says_what_it_heard() -> None:
    talk = Talk()
    first, second = talk.ask("Who wrote Hamlet?"), talk.ask("Why is the sky blue?")
    assert "not a language model" in first
    assert "I heard: Who wrote Hamlet" in first
    assert second.startswith("I heard: Why is the sky blue.")
    assert len(second) < len(first)


def test_it_recalls_what_was_said() -> None:
    talk = Talk()
    talk.ask("Hello, my name is Ada.")
    talk.ask("Remember that my favorite color is green.")
    talk.ask("My appointment is on Friday.")
    assert talk.ask("What's my name?") == "Your name is Ada."
    assert talk.ask("What is my favorite color?") == "You told me that your favorite color is green."
    assert talk.ask("When is my appointment?") == "You told me that your appointment is on Friday."
    assert talk.ask("What is my shoe size?") == "You have not told me your shoe size in this conversation."
    assert (
        talk.ask("What was the first thing I said?") == "The first thing you said was: Hello, my name is Ada."
    )
    assert talk.ask("Say that again, please.") == "The first thing you said was: Hello, my name is Ada."


def test_it_forgets_between_conversations() -> None:
    assert Talk().ask("What is my name?") == "You have not told me your name in this conversation."


def test_it_speaks_first_when_nothing_was_said_and_asks_after_silence() -> None:
    assert Talk().pieces("nothing")[0].text.startswith("Hello!")  # type: ignore[union-attr]
    assert "still there" in Talk().pieces("silence")[0].text  # type: ignore[union-attr]


def test_it_says_what_the_instructions_ask_it_to_say_exactly() -> None:
    talk = Talk(instructions='Greet the caller: say exactly "Welcome to the library."')
    assert talk.ask("hello") == "Welcome to the library."


def test_pictures_are_declined() -> None:
    talk = Talk()
    talk.lines.append(Line("user", "", has_image=True))
    assert "cannot see" in talk.pieces("user")[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("What's the weather like in Paris today?", ("get_weather", '{"city": "Paris"}')),
        (
            "The weather in New York in celsius, please",
            ("get_weather", '{"city": "New York", "unit": "celsius"}'),
        ),
        ("Start a timer for five minutes", ("startTimer", '{"minutes": 5}')),
        ("Switch off the lights", ("switch_lights", '{"on": false}')),
        ("What is two plus two?", None),
        ("Hello!", None),
    ],
)
def test_a_tool_is_called_when_what_was_said_asks_for_it(said: str, call: tuple[str, str] | None) -> None:
    assert Talk(WEATHER, TIMER, LIGHTS).call(said) == call


def test_a_missing_argument_is_asked_for_and_then_used() -> None:
    talk = Talk(WEATHER)
    assert talk.ask("What's the weather?") == "To do that I need one thing more: the city. What should it be?"
    assert talk.call("Berlin") == ("get_weather", '{"city": "Berlin"}')


def test_tool_choice_is_obeyed() -> None:
    assert Talk(WEATHER, tool_choice="none").call("What's the weather in Rome?") is None
    assert Talk(WEATHER, tool_choice="required").call("Hello") == ("get_weather", '{"city": "Hello"}')
    named = {"type": "function", "name": "startTimer"}
    assert Talk(WEATHER, TIMER, tool_choice=named).call("the weather in Rome") == (
        "startTimer",
        '{"minutes": 0}',
    )


def test_a_call_is_announced_before_it_is_made() -> None:
    first, second = Talk(WEATHER).ask_pieces("the weather in Rome")
    assert isinstance(first, Say)
    assert first.phase == "commentary"
    assert isinstance(second, Call)


def test_outputs_of_several_calls_are_told_together() -> None:
    talk = Talk(WEATHER)
    talk.lines += [
        Line("user", "the weather in Rome and Oslo"),
        Line("tool_output", '{"temperature": 21.5, "sky": "clear"}'),
        Line("tool_output", "cold"),
    ]
    assert talk.pieces("tool_output") == [Say("Temperature: 21.5, sky: clear. Cold.")]


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ('{"result": "Done"}', "Done."),
        ('{"error": "no such city"}', "The tool reported a problem: no such city."),
        ("[1, 2.5, true, null]", "1; 2.5; yes; nothing."),
        ("", "The tool gave no result."),
        ("See **https://example.com/x** now!", "See a link now!"),
    ],
)
def test_tool_outputs_are_told_as_sentences(output: str, text: str) -> None:
    assert told(output) == text


def test_a_long_tool_output_is_cut() -> None:
    assert told("word " * 500).endswith("and more.")
    assert len(told("word " * 500)) < 420


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("twenty-three", "23"),
        ("one hundred and five", "105"),
        ("two thousand twenty six", "2026"),
        ("three point one four", "3.14"),
        ("a hundred", "100"),
        ("1,234,567", "1234567"),
        ("someone won the one", "someone won the 1"),
        ("five and six", "5 and 6"),
        ("it's twenty to three", "it's 20 to 3"),
    ],
)
def test_spoken_numbers(said: str, digits: str) -> None:
    assert with_digits(said) == digits
