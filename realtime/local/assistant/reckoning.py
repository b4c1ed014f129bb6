"""Arithmetic from speech: sums, products, powers, roots, percentages. Exact fractions; evaluates no code."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from realtime.local.assistant.numbers import as_text, with_digits

_WORDS = (
    (r"\bplus\b|\badded to\b", "+"),
    (r"\bminus\b|\bless\b|\btake away\b", "-"),
    (r"\bmultiplied by\b|\btimes\b|×|(?<=\d) ?x ?(?=\d)", "*"),
    (r"\bdivided by\b|\bover\b|÷", "/"),
    (r"\bto the power of\b|\braised to(?: the power of)?\b|\*\*", "^"),
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"\b(?:the )?square root of\b", "sqrt"),
    (r"\bhalf of\b", "0.5 *"),
    (r"\b(?:a )?quarter of\b", "0.25 *"),
    (r"\b(?:a )?third of\b", "(1/3) *"),
    (r"(?:%|\bpercent\b|\bper cent\b) of\b", "/100 *"),
)
_ASKING = re.compile(
    r"^(?:and |so |ok |please |can you |could you )*(what|how much|calculate|compute|work out|reckon|tell)\b",
    re.IGNORECASE,
)
_EXPRESSION = re.compile(r"^[\d\s.+\-*/^()]*(?:sqrt[\d\s.+\-*/^()]*)*$")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|sqrt|[-+*/^()]")
_MOST_DIGITS = 200


class _NotReckonable(ValueError):
    """The expression has a meaning, but no answer that can be said; the text says why."""


def answer(said: str) -> str | None:
    """ "What is 12 times 7?" gives "12 times 7 is 84."; None for text that is no sum."""
    words = with_digits(said.strip()).strip(" ?.!,=:").split()
    asked = _ASKING.match(" ".join(words)) or (words[:1] in (["And"], ["and"]))
    # The sum is the longest end of the sentence that can be read as one, so that a misheard "what is" does no harm.
    for start in range(len(words) if asked else 1):
        if reply := _reckoned(" ".join(words[start:])):
            return reply
    return None


def _reckoned(question: str) -> str | None:
    expression = question.lower()
    for pattern, symbol in _WORDS:
        expression = re.sub(pattern, f" {symbol} ", expression)
    tokens = _TOKEN.findall(expression)
    if (
        not _EXPRESSION.match(expression)
        or len(tokens) < 2
        or not any(token[0].isdigit() for token in tokens)
    ):
        return None
    if not set(tokens) & {"+", "-", "*", "/", "^", "sqrt"}:
        return None
    try:
        parser = _Parser(tokens)
        value = parser.sum()
        if parser.rest():
            return None
    except _NotReckonable as problem:
        return f"{problem}"
    except (ValueError, IndexError):
        return None
    about = "" if parser.exact and as_text(value, 6) == as_text(value, 12) else "about "
    return f"{question[0].upper()}{question[1:]} is {about}{as_text(value)}."


class _Parser:
    """Sums of products of powers, as in school. `exact` turns false when a root was not whole."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self.exact = True

    def rest(self) -> bool:
        return self._at < len(self._tokens)

    def sum(self) -> Fraction:
        value = self._product()
        while operator := self._accept("+", "-"):
            right = self._product()
            value = value + right if operator == "+" else value - right
        return value

    def _product(self) -> Fraction:
        value = self._power()
        while operator := self._accept("*", "/"):
            right = self._power()
            if operator == "/" and right == 0:
                raise _NotReckonable("Dividing by zero has no answer.")
            value = value * right if operator == "*" else value / right
        return value

    def _power(self) -> Fraction:
        base = self._value()
        if not self._accept("^"):
            return base
        exponent = self._power()
        digits = abs(exponent) * len(str(max(abs(base.numerator), base.denominator)))
        if exponent.denominator != 1 or digits > _MOST_DIGITS:
            raise _NotReckonable("That is too large for me to say.")
        if base == 0 and exponent < 0:
            raise _NotReckonable("Dividing by zero has no answer.")
        return base ** int(exponent)

    def _value(self) -> Fraction:
        if self._accept("-"):
            return -self._value()
        if self._accept("sqrt"):
            return self._root(self._value())
        if self._accept("("):
            value = self.sum()
            if not self._accept(")"):
                raise ValueError
            return value
        token = self._tokens[self._at]
        self._at += 1
        return Fraction(token)

    def _root(self, value: Fraction) -> Fraction:
        if value < 0:
            raise _NotReckonable("A negative number has no real square root.")
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
        self.exact = False
        return Fraction(math.sqrt(value))

    def _accept(self, *tokens: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at] in tokens:
            self._at += 1
            return self._tokens[self._at - 1]
        return None
