"""Play with words and numbers: spelling, counting, repeating what one is told. Remembers nothing."""

from __future__ import annotations

import re

from realtime.local.assistant.numbers import numbers_in

_LONGEST_COUNT = 30
_SPELL = re.compile(
    r"\bspell(?: out| it| the word| the name)*[,:]? (?:the word )?([\w'-]+(?: [\w'-]+)?)\W*$", re.IGNORECASE
)
_REPEAT = re.compile(r"^(?:please )?(?:repeat|say)(?: after me|,? the following)?[\s:,]+(.+)$", re.IGNORECASE)


def spell(said: str) -> str | None:
    """ "How do you spell rhythm?" gives the letters, with pauses between them when spoken."""
    if not (match := _SPELL.search(said)):
        return None
    word = match[1].removesuffix(" for me").strip()
    if word.lower() in ("it", "that", "this"):
        return None
    letters = ", ".join(letter.upper() for letter in word if letter.isalnum())
    return f"{word.capitalize()} is spelled {letters}."


def count(said: str) -> str | None:
    text = said.lower()
    if not re.search(r"\bcount\b", text):
        return None
    bounds = [int(number) for number in numbers_in(said)]
    if not bounds:
        return None
    down = "down" in text or "backward" in text
    if len(bounds) == 1:
        start, end = (bounds[0], 1 if bounds[0] > 1 else 0) if down else (1, bounds[0])
    else:
        start, end = bounds[0], bounds[1]
    step = 1 if end >= start else -1
    steps = list(range(start, end + step, step))
    if len(steps) > _LONGEST_COUNT:
        return f"That would take a while. I count at most {_LONGEST_COUNT} numbers at a time."
    return ", ".join(str(number) for number in steps) + "."


def echo(said: str) -> str | None:
    """ "Repeat after me: ..." """
    match = _REPEAT.match(said.strip())
    if not match or re.match(
        r"^(that|it|this|what|again|something|the last|yourself)\b", match[1], re.IGNORECASE
    ):
        return None
    text = match[1].strip(" \"'“”")
    if not text:
        return None
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
