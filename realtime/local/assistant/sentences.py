"""Cuts a stream of text into sentences as soon as they are complete. Speech begins with the first one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(r"(?<=[.!?…])[\"'”)]*\s+|\n+")
_NOT_AN_END = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|e\.g|i\.e|etc|no|approx)|\b[a-z]|\d)\.$", re.IGNORECASE
)
_LONGEST_CHARS = 300  # text without any full stop is cut here, between words


class Sentences:
    """Feed it pieces of any size; it gives back whole sentences, stripped."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, text: str) -> Iterator[str]:
        self._text += text
        start = 0
        for match in _END.finditer(self._text):
            candidate = self._text[start : match.start()].strip()
            is_line_end = "\n" in match[0]
            if not candidate or (_NOT_AN_END.search(candidate) and not is_line_end):
                continue
            yield self._text[start : match.end()].strip()
            start = match.end()
        self._text = self._text[start:]
        if len(self._text) > _LONGEST_CHARS and " " in self._text:
            head, self._text = self._text.rsplit(" ", 1)
            yield head.strip()

    def rest(self) -> Iterator[str]:
        """What is left when the stream ends."""
        if self._text.strip():
            yield self._text.strip()
        self._text = ""
