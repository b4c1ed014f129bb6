"""Numbers as people say them, to digits and back to text. English only; no arithmetic."""

from __future__ import annotations

import re
from fractions import Fraction

_UP_TO_NINETEEN = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen"""
_TENS_IN_ORDER = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: value for value, word in enumerate(_UP_TO_NINETEEN.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENS_IN_ORDER.split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_FIXED: dict[str, int | Fraction] = {"dozen": 12, "half": Fraction(1, 2), "quarter": Fraction(1, 4)}
_NUMBER_WORDS = {**_SMALL, **_TENS}
_WORD = re.compile(r"\d[\d,]*(?:\.\d+)?|[a-z]+|[^\sa-z\d]+|\s+", re.IGNORECASE)


def with_digits(text: str) -> str:
    """Replaces number words by digits: "twenty-three point five" becomes "23.5", "1,200" becomes "1200"."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    hyphens = "|".join(_TENS)
    text = re.sub(rf"\b({hyphens})-(?=[a-z])", r"\1 ", text, flags=re.IGNORECASE)
    words = [word for word in _WORD.findall(text) if word.strip()]
    out: list[str] = []
    at = 0
    while at < len(words):
        value, used = _number_at(words, at)
        if used:
            out.append(as_text(value))
            at += used
        else:
            out.append(words[at])
            at += 1
    joined = " ".join(out)
    return re.sub(r"(?<=\w) ' ?(?=\w)", "'", re.sub(r" (?=[,.!?;:%])", "", joined))


def numbers_in(text: str) -> list[Fraction]:
    """All numbers of a text in order, spoken or in digits."""
    return [Fraction(found) for found in re.findall(r"-?\d+(?:\.\d+)?", with_digits(text))]


def as_text(value: Fraction, digits: int = 6) -> str:
    """Digits without a needless fraction: 3, 3.5, 0.333333; large and tiny values in words are not attempted."""
    if value.denominator == 1:
        return str(value.numerator)
    rounded = f"{float(value):.{digits}f}".rstrip("0").rstrip(".")
    return rounded if rounded not in ("0", "-0") else f"{float(value):.3g}"


def _number_at(words: list[str], at: int) -> tuple[Fraction, int]:
    """The number that begins at a word, and how many words it takes; 0 when there is none."""
    first = words[at].lower()
    if first in _FIXED:
        # "half" and "quarter" are numbers before "of" and after "a" only in sums; alone they are words.
        return (Fraction(_FIXED[first]), 1) if first == "dozen" else (Fraction(0), 0)
    if first in ("a", "an") and at + 1 < len(words) and words[at + 1].lower() in (*_SCALES, "dozen"):
        value, used = (
            _number_at(["one", *words[at + 1 :]], 0)
            if words[at + 1].lower() != "dozen"
            else (Fraction(12), 2)
        )
        return value, used
    if first not in _NUMBER_WORDS:
        return Fraction(0), 0
    total, group, used = Fraction(0), Fraction(0), 0
    last = 0
    while at + used < len(words):
        word = words[at + used].lower()
        if word in _TENS and last in (0, 100):
            group, last = group + _TENS[word], 10
        elif word in _SMALL and (last in (0, 100) or (last == 10 and 0 < _SMALL[word] < 10)):
            group, last = group + _SMALL[word], 1
        elif word == "hundred" and group:
            group, last = group * 100, 100
        elif word in _SCALES and group:
            total, group, last = total + group * _SCALES[word], Fraction(0), 0
        elif word == "and" and last in (0, 100) and used and _is_number_word(words, at + used + 1):
            pass
        else:
            break
        used += 1
    decimals = ""
    if at + used < len(words) and words[at + used].lower() == "point":
        ahead = at + used + 1
        while ahead < len(words) and (word := words[ahead].lower()) in _SMALL and _SMALL[word] < 10:
            decimals += str(_SMALL[word])
            ahead += 1
        if decimals:
            used = ahead - at
    return total + group + (Fraction(int(decimals), 10 ** len(decimals)) if decimals else 0), used


def _is_number_word(words: list[str], at: int) -> bool:
    return at < len(words) and words[at].lower() in _NUMBER_WORDS
