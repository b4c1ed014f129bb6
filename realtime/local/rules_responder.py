"""The default assistant: deterministic, offline, honest about itself. Chooses among the abilities in `assistant/`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

from realtime.local.assistant import about, clock, recall, reckoning, small_talk, tool_calls, units, words
from realtime.local.effects import AnswerRequest, Line
from realtime.local.engine import Call, Piece, Say
from realtime.local.responder import Responder

NOT_UNDERSTOOD = "Sorry, I did not catch that. Could you say it again?"
NO_EYES = "I cannot see pictures here. A real model, connected with a key, can."
_SAY_EXACTLY = re.compile(
    r"\bsay (?:exactly|only|just|verbatim)?:? ?[\"“](.+?)[\"”]", re.IGNORECASE | re.DOTALL
)
_FIRST_FALLBACK = "That is beyond me: I am a small set of rules, not a language model."


def _local_now() -> dt.datetime:
    return dt.datetime.now().astimezone()


class RulesResponder:
    """The same conversation at the same time of day always gets the same answer. `now` must know its zone.

    `beyond` answers what no rule knows, instead of an admission.
    """

    def __init__(self, now: Callable[[], dt.datetime] = _local_now, beyond: Responder | None = None) -> None:
        self._now = now
        self._beyond = beyond

    async def answer(self, request: AnswerRequest) -> AsyncGenerator[Piece, None]:
        if self._beyond is not None and self._is_beyond(request):
            async for piece in self._beyond.answer(request):
                yield piece
            return
        for piece in self.pieces(request):
            yield piece

    def pieces(self, request: AnswerRequest) -> Iterator[Piece]:
        lines = request.lines
        if request.prompted_by == "silence":
            yield Say("Are you still there? Just speak when you are ready.")
        elif request.prompted_by == "tool_output":
            yield Say(" ".join(tool_calls.told(output) for output in _fresh_outputs(lines)))
        elif match := _SAY_EXACTLY.search(request.instructions):
            yield Say(match[1])
        elif request.prompted_by == "nothing":
            yield Say(f"Hello! {about.SHORTLY}")
        else:
            yield from self._to_the_person(request)

    def _is_beyond(self, request: AnswerRequest) -> bool:
        """Whether the person said something that no rule knows."""
        if request.prompted_by in ("silence", "tool_output", "nothing") or _SAY_EXACTLY.search(
            request.instructions
        ):
            return False
        at = max(index for index, line in enumerate(request.lines) if line.role == "user")
        said, earlier = request.lines[at].text.strip(), request.lines[:at]
        rest = small_talk.greeting(said)[1]
        if not rest or self._tool_call(said, earlier, request) is not None:
            return False
        return self._of_rules(rest, earlier) is None

    def _of_rules(self, said: str, earlier: Sequence[Line]) -> str | None:
        return words.echo(said) or self._sentence_by_sentence(said, earlier) or self._known(said, earlier)

    def _to_the_person(self, request: AnswerRequest) -> Iterator[Piece]:
        at = max(index for index, line in enumerate(request.lines) if line.role == "user")
        said, earlier = request.lines[at].text.strip(), request.lines[:at]
        if not said:
            yield Say(NO_EYES if request.lines[at].has_image else NOT_UNDERSTOOD)
            return
        call = self._tool_call(said, earlier, request)
        if call is None:
            yield Say(self._reply(said, earlier, request))
        elif call.missing is not None:
            yield Say(f"{tool_calls.NEEDS}{call.missing.replace('_', ' ')}. What should it be?")
        else:
            yield Say("One moment.", phase="commentary")
            yield Call(call.name, call.as_json())

    def _tool_call(
        self, said: str, earlier: Sequence[Line], request: AnswerRequest
    ) -> tool_calls.ToolCall | None:
        last = next((line.text for line in reversed(earlier) if line.role == "assistant"), "")
        if last.startswith(tool_calls.NEEDS):
            # What was missing is said now; with the question before it, the sentence is whole.
            question = next((line.text for line in reversed(earlier) if line.role == "user"), "")
            whole = f"{question.rstrip(' .?!')} for {said}"
            if call := tool_calls.choose(whole, request.tools, request.tool_choice):
                return call
        return tool_calls.choose(said, request.tools, request.tool_choice)

    def _reply(self, said: str, earlier: Sequence[Line], request: AnswerRequest) -> str:
        greeting, rest = small_talk.greeting(said)
        if not rest:
            return self._greeted(greeting, earlier)
        reply = self._of_rules(rest, earlier)
        if reply is None:
            reply = _fallback(rest, earlier)
        return f"{greeting} {reply}".strip()

    def _known(self, said: str, earlier: Sequence[Line]) -> str | None:
        jokes = sum(small_talk.is_joke(line.text) for line in earlier if line.role == "assistant")
        return (
            clock.answer(said, self._now())
            or units.answer(said)
            or words.spell(said)
            or words.count(said)
            or reckoning.answer(said)
            or recall.answer(said, earlier)
            or small_talk.answer(said, jokes)
            or about.answer(said)
        )

    def _sentence_by_sentence(self, said: str, earlier: Sequence[Line]) -> str | None:
        """For several questions in one breath: the answers to those that are understood, if any."""
        sentences = [sentence for sentence in re.split(r"(?<=[.?!])\s+", said) if sentence]
        answers = [reply for sentence in sentences if (reply := self._known(sentence, earlier))]
        return " ".join(dict.fromkeys(answers)) or None

    def _greeted(self, greeting: str, earlier: Sequence[Line]) -> str:
        if any(line.role == "assistant" for line in earlier):
            return f"{greeting} What can I do for you?"
        return f"{greeting} {about.SHORTLY}"


def _fresh_outputs(lines: Sequence[Line]) -> list[str]:
    """Outputs since the person last spoke: several calls are answered together."""
    outputs: list[str] = []
    for line in reversed(lines):
        if line.role == "user":
            break
        if line.role == "tool_output":
            outputs.insert(0, line.text)
    return outputs


def _fallback(said: str, earlier: Sequence[Line]) -> str:
    """What was heard is said back: the ear may have been wrong, and the person should know."""
    heard = said.strip(" .?!")
    if any(_FIRST_FALLBACK in line.text for line in earlier if line.role == "assistant"):
        return f"I heard: {heard}. I have no answer to that. Ask me for help to learn what I can do."
    return f"{_FIRST_FALLBACK} I heard: {heard}. {about.ABILITIES} {about.REAL_MODEL}"
