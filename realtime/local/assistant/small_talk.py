"""Courtesies: greeting, thanks, farewell, a joke. Short, and the same every time."""

from __future__ import annotations

import re

GREETING = re.compile(
    r"^(?:(?:well|oh),? )?(hello|hi|hey|good (?:morning|afternoon|evening)|greetings)"
    r"(?: there| again| assistant| everybody)?\b[\s,.!]*",
    re.IGNORECASE,
)
_JOKES = (
    "Why do programmers mix up Halloween and Christmas? Because oct 31 equals dec 25.",
    "I would tell you a joke about the network, but I cannot reach it.",
    "There are two hard things in computing: naming, caching, and counting.",
)
_COURTESIES: tuple[tuple[str, str], ...] = (
    (
        r"\bhow are you\b|\bhow(?:'s| is) it going\b|\bhow do you do\b",
        "I am well, thank you. How can I help?",
    ),
    (r"\b(thank you|thanks|cheers)\b", "You are welcome."),
    (r"\b(goodbye|good bye|bye|see you|good night|farewell)\b", "Goodbye! It was nice talking with you."),
    (
        r"^(yes|yeah|yep|ok(?:ay)?|all right|sure|fine|good|great|nice|cool|perfect)\W*$",
        "Good. What would you like to know?",
    ),
    (r"^(no|nope|nothing|never ?mind|no thanks?)\W*$", "All right. I am here when you need me."),
    (r"^(stop|quiet|be quiet|wait|hold on)\W*$", "All right."),
    (r"\b(i love you|you are (?:great|nice|good|funny))\b", "That is kind of you."),
    (
        r"^(test|testing)\b.*|\bcan you hear me\b|\bis this (?:thing )?(?:on|working)\b",
        "Yes, I hear you well.",
    ),
)
_COMPILED = [(re.compile(pattern, re.IGNORECASE), text) for pattern, text in _COURTESIES]


def greeting(said: str) -> tuple[str, str]:
    """The greeting to give back ("" when there was none) and what is left of the text without theirs."""
    match = GREETING.match(said)
    if not match:
        return "", said
    word = match[1].lower()
    back = f"{word.capitalize()}!" if word.startswith("good ") else "Hello!"
    return back, said[match.end() :].strip()


def answer(said: str, jokes_told: int) -> str | None:
    if re.search(r"\bjokes?\b|\bmake me laugh\b", said, re.IGNORECASE):
        return _JOKES[jokes_told % len(_JOKES)]
    return next((text for pattern, text in _COMPILED if pattern.search(said)), None)


def is_joke(text: str) -> bool:
    return text in _JOKES
