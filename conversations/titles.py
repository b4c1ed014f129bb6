"""The automatic title of a conversation, from its first exchange. Pure: no database, no settings."""

import re
import unicodedata

MAX_CHARS = 60
ELLIPSIS = "…"

_GREETING_WORDS = (
    "hi|hello|hey|hiya|howdy|yo|good (?:morning|afternoon|evening|day)|greetings|"
    "hallo|hey|moin|servus|grüß (?:gott|dich)|guten (?:morgen|tag|abend)|"
    "hola|bonjour|salut|ciao"
)
# Courtesies that follow a greeting and still ask for nothing.
_COURTESY_WORDS = (
    "there|again|everyone|all|assistant|how are you(?: doing)?(?: today)?|what'?s up|nice to meet you|"
    "zusammen|wie geht(?:'s|s| es)?(?: dir| ihnen)?(?: heute)?"
)
_GAP = r"[\s,.!?;:–—-]*"
_GREETING = re.compile(
    rf"^{_GAP}(?:(?:{_GREETING_WORDS})(?!\w){_GAP})+(?:(?:{_COURTESY_WORDS})(?!\w){_GAP})*", re.IGNORECASE
)
# A full stop ends a sentence only before a blank and never between digits ("3.5") or after one letter ("e.g. this").
_SENTENCE_END = re.compile(r"(?<=[.!?…])(?<!\b\w\.)\s+|(?<=[。！？])|\n+")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_LINE_MARK = re.compile(r"^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+|\d{1,3}[.)]\s+|```\w*|~~~\w*)", re.MULTILINE)
_INLINE_MARK = re.compile(r"\*\*|__|~~|`+|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)")
_ZERO_WIDTH_JOINER = "\u200d"
_SCANNED_CHARS = 2_000


def title_from_exchange(user_text: str, assistant_text: str) -> str:
    """A title of at most 60 characters, or "" when there is nothing to make one of.

    The person's first sentence names the conversation. When the person only greeted or said nothing, the
    assistant's first sentence that is more than a greeting does, then whatever there is.
    """
    # A title needs the beginning only; a pasted book must not be searched to its end.
    asked = _plain(user_text[:_SCANNED_CHARS])
    answered = _plain(assistant_text[:_SCANNED_CHARS])
    for text in (asked, answered):
        if meant := _without_greeting(text):
            return _bounded(_first_sentence(meant))
    return _bounded(_first_sentence(answered or asked))


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", text)
    text = _LINE_MARK.sub("", text)
    text = _INLINE_MARK.sub("", text)
    text = "".join(" " if unicodedata.category(char) == "Cc" and char != "\n" else char for char in text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()


def _without_greeting(text: str) -> str:
    rest = _GREETING.sub("", text, count=1)
    if rest == text:
        return text if any(char.isalnum() for char in text) else ""
    return rest[:1].upper() + rest[1:] if any(char.isalnum() for char in rest) else ""


def _first_sentence(text: str) -> str:
    sentence = next((part for part in _SENTENCE_END.split(text) if part.strip()), "").strip()
    return sentence.rstrip(".:;, ") or sentence


def _bounded(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    cut = MAX_CHARS - len(ELLIPSIS)
    room = text[: cut + 1]
    if (blank := room.rfind(" ")) > cut // 2:
        return room[:blank].rstrip(" ,.;:–—-") + ELLIPSIS
    # No word boundary within reach (one long word, or a script without blanks): never split a written sign.
    while cut > 1 and _joins(text[cut - 1], text[cut]):
        cut -= 1
    return text[:cut] + ELLIPSIS


def _joins(before: str, after: str) -> bool:
    """Whether two code points belong to one written sign."""
    return _ZERO_WIDTH_JOINER in (before, after) or unicodedata.category(after) in ("Mn", "Me", "Mc", "Sk")
