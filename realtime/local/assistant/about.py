"""What the assistant says about itself and this product. Only what is true without a key and a network."""

from __future__ import annotations

import re

ABILITIES = (
    "I can tell the time and date, reckon, convert units, spell, count, repeat, "
    "and recall what you told me in this conversation."
)
REAL_MODEL = (
    "To talk with a real model, put your OpenAI key into the file .env as OPENAI_API_KEY "
    "and start the site again."
)
OWN_MODEL = (
    "With LOCAL_LLM_URL set to a chat endpoint on your own machine, that model answers through my voice."
)
SHORTLY = (
    "I am the local assistant: a small set of rules, no language model. Ask me the time, a sum, or for help."
)
WHO = (
    "I am the local assistant that ships with this site: a small set of rules, no language model. "
    "I run on this computer, without a key and without the internet."
)
# (what is asked, the answer); the first that matches counts
_ANSWERS: tuple[tuple[str, str], ...] = (
    (
        r"\b((api|openai|a) key|(real|language|better) model|(chat ?)?gpt|connect (you|it|this)|smarter)\b",
        f"{REAL_MODEL} {OWN_MODEL}",
    ),
    (
        r"\b(privacy|private|record(ed|ing)?|who (can )?(hear|listen)|store|saved?|my data|leave (this|my))\b",
        (
            "Your voice is recognised on the computer that runs this site and is not sent anywhere else. "
            "The text of our conversation is kept in this site's database, under your account. "
            "With an OpenAI key, audio goes to OpenAI instead."
        ),
    ),
    (
        r"\b(settings?|configure|options?)\b",
        (
            "The voice panel has settings for the voice, the speed of speech, how long a silence ends your turn, "
            "and whether you may interrupt me."
        ),
    ),
    (
        r"\b(slower|faster|speed|slow down|speed up)\b",
        "How fast I speak is a setting of the voice panel; it takes effect with my next answer.",
    ),
    (
        r"\b((change|other|another|different|which|what) voices?|voices (do|can|are))\b",
        (
            "I have ten voices, under the names of the real service, such as marin, cedar and alloy. "
            "They are variants of one voice. Choose one in the settings before you start."
        ),
    ),
    (
        r"\b(microphone|hear me|can't hear|cannot hear|mic)\b",
        "Check that the browser may use the microphone, that the right one is chosen, and that it is not muted.",
    ),
    (
        r"\b(interrupt|stop talking|cut you off)\b",
        "Just start to speak: I stop at once and listen.",
    ),
    (
        r"\b(languages?|german|french|spanish|italian|deutsch|français|español)\b",
        "Here I understand and speak English only. A real model, connected with a key, knows many languages.",
    ),
    (
        r"\b(how (do|does) (you|this|it) work|how are you made|what happens when i (speak|talk))\b",
        (
            "Your browser sends what the microphone hears. I detect where you stop, turn the speech into text, "
            "choose an answer by rules, and speak it."
        ),
    ),
    (
        r"\b(this (site|product|app|program|page)|what is this)\b",
        "This is a site where you chat with an assistant by text and by voice, in the same conversation.",
    ),
    (
        r"\b(what can you do|help|abilities|what do you know|what should i (say|ask))\b",
        f"{ABILITIES} {REAL_MODEL}",
    ),
    (
        r"\b(who are you|what are you|your name|introduce yourself|are you (real|human|a (ro)?bot|a person))\b",
        WHO,
    ),
)
_COMPILED = [(re.compile(pattern, re.IGNORECASE), text) for pattern, text in _ANSWERS]


def answer(said: str) -> str | None:
    return next((text for pattern, text in _COMPILED if pattern.search(said)), None)
