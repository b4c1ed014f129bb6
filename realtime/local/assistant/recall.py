"""What was said in this conversation: names and facts the person told, earlier questions, the last answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from realtime.local.effects import Line

_NAME = re.compile(
    r"\b(?:my name is|my name's|i am called|call me|i'm called)\s+([A-Za-z][\w'-]*)", re.IGNORECASE
)
_FACT = re.compile(
    r"\b(?:(?:please )?remember(?: that)? )?my ((?!name\b)[a-z][a-z' ]{1,40}?) (?:is|are|was) ([^.?!]{1,80})",
    re.IGNORECASE,
)
_NOTE = re.compile(r"^(?:please )?remember (?:that )?(.{3,120})$", re.IGNORECASE)
_ASK_NAME = re.compile(
    r"\bwhat(?:'s| is) my name\b|\bwho am i\b|\b(?:do you )?(?:know|remember) my name\b", re.IGNORECASE
)
_ASK_FACT = re.compile(r"\b(?:what|when|where|who)(?:'s| is| are| was) my ([a-z' ]{2,40})", re.IGNORECASE)
_ASK_AGAIN = re.compile(
    r"^(?:(?:please |can you |could you )*(?:repeat|say) (?:that|it|this)?(?: again)?(?:,? please)?"
    r"|(?:once )?again|pardon(?: me)?|what did you (?:just )?say|come again|what was that)\W*$",
    re.IGNORECASE,
)
_ASK_LAST = re.compile(
    r"\bwhat did i (?:just )?(?:say|ask)\b|\bwhat was my (?:last )?question\b", re.IGNORECASE
)
_ASK_FIRST = re.compile(
    r"\bwhat (?:was the first thing|did) i (?:say|said|ask|asked)(?: you)? (?:first|at the beginning)\b"
    r"|\bwhat was (?:the first thing i (?:said|asked)|my first question)\b",
    re.IGNORECASE,
)
_ASK_ALL = re.compile(
    r"\bwhat (?:have|did) we (?:talk(?:ed)?|speak|spoken|discuss(?:ed)?)\b"
    r"|\bwhat do you remember\b|\bsummari[sz]e\b",
    re.IGNORECASE,
)


def answer(said: str, earlier: Sequence[Line]) -> str | None:
    """`earlier` is the conversation before what was said now."""
    theirs = [line.text for line in earlier if line.role == "user" and line.text]
    if _ASK_AGAIN.match(said.strip()):
        last = next((line.text for line in reversed(earlier) if line.role == "assistant" and line.text), None)
        return last or "I have not said anything yet."
    if _ASK_FIRST.search(said):
        return (
            f"The first thing you said was: {_quoted(theirs[0])}"
            if theirs
            else "This is the first thing you say."
        )
    if _ASK_LAST.search(said):
        return f"You said: {_quoted(theirs[-1])}" if theirs else "This is the first thing you say."
    if _ASK_NAME.search(said):
        name = _latest(_NAME, theirs)
        return f"Your name is {name}." if name else "You have not told me your name in this conversation."
    if match := _ASK_FACT.search(said):
        return _fact(match[1].strip(), theirs)
    if _ASK_ALL.search(said):
        return _summary(theirs)
    if match := _NAME.search(said):
        return f"Nice to meet you, {_capital(match[1])}!"
    if match := _FACT.search(said):
        return f"I will remember, for this conversation, that your {match[1].strip()} is {match[2].strip()}."
    if match := _NOTE.match(said.strip(" .!")):
        return f"I will remember, for this conversation: {match[1].strip(' .')}."
    return None


def _fact(topic: str, theirs: Sequence[str]) -> str:
    for text in reversed(theirs):
        for match in _FACT.finditer(text):
            if match[1].strip().lower() == topic.lower():
                return f"You told me that your {topic} is {match[2].strip()}."
    return f"You have not told me your {topic} in this conversation."


def _latest(pattern: re.Pattern[str], texts: Sequence[str]) -> str | None:
    return next((_capital(match[1]) for text in reversed(texts) if (match := pattern.search(text))), None)


def _summary(theirs: Sequence[str]) -> str:
    if not theirs:
        return "We have only just begun."
    said = "; ".join(text.strip(" .!?") for text in theirs[-4:])
    return (
        f"You have said {len(theirs)} {'thing' if len(theirs) == 1 else 'things'} so far. The latest: {said}."
    )


def _quoted(text: str) -> str:
    return text if text[-1:] in ".?!" else f"{text}."


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
