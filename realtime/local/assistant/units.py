"""Conversion between everyday units. Exact factors; no currencies, for they change."""

from __future__ import annotations

import re
from fractions import Fraction

from realtime.local.assistant.numbers import as_text, with_digits

# dimension -> unit as it is said -> (spellings, factor to the base unit)
_TABLE: dict[str, dict[str, tuple[str, Fraction]]] = {
    "length": {
        "millimeters": ("millimeters? millimetres? mm", Fraction("0.001")),
        "centimeters": ("centimeters? centimetres? cm", Fraction("0.01")),
        "meters": ("meters? metres? m", Fraction(1)),
        "kilometers": ("kilometers? kilometres? km", Fraction(1000)),
        "inches": ("inch inches", Fraction("0.0254")),
        "feet": ("foot feet ft", Fraction("0.3048")),
        "yards": ("yards?", Fraction("0.9144")),
        "miles": ("miles?", Fraction("1609.344")),
    },
    "mass": {
        "grams": ("grams? g", Fraction(1)),
        "kilograms": ("kilograms? kilos? kg", Fraction(1000)),
        "ounces": ("ounces? oz", Fraction("28.349523125")),
        "pounds": ("pounds? lbs?", Fraction("453.59237")),
        "stone": ("stones?", Fraction("6350.29318")),
        "tonnes": ("tonnes? tons?", Fraction(1_000_000)),
    },
    "volume": {
        "milliliters": ("milliliters? millilitres? ml", Fraction("0.001")),
        "liters": ("liters? litres? l", Fraction(1)),
        "cups": ("cups?", Fraction("0.2365882365")),
        "pints": ("pints?", Fraction("0.473176473")),
        "gallons": ("gallons?", Fraction("3.785411784")),
    },
    "time": {
        "seconds": ("seconds? secs?", Fraction(1)),
        "minutes": ("minutes? mins?", Fraction(60)),
        "hours": ("hours?", Fraction(3600)),
        "days": ("days?", Fraction(86_400)),
        "weeks": ("weeks?", Fraction(604_800)),
    },
    "speed": {
        "kilometers per hour": (r"(?:kilomet(?:er|re)s?|km)(?:\sper\s|\san\s|/)(?:hour|h) kph", Fraction(1)),
        "miles per hour": (r"miles?\s(?:per|an)\shour mph", Fraction("1.609344")),
    },
}
_TEMPERATURES = {
    "degrees Celsius": r"(?:degrees?\s)?(?:celsius|centigrade|c)",
    "degrees Fahrenheit": r"(?:degrees?\s)?(?:fahrenheit|f)",
}
_UNITS: dict[str, tuple[str, Fraction]] = {}
_PATTERNS: list[tuple[str, str]] = []
for _dimension, _units in _TABLE.items():
    for _name, (_spellings, _factor) in _units.items():
        _UNITS[_name] = (_dimension, _factor)
        _PATTERNS.append((_name, "|".join(_spellings.split(" "))))
for _name, _pattern in _TEMPERATURES.items():
    _PATTERNS.append((_name, _pattern))
# Longest first, or "miles per hour" would be read as miles.
_PATTERNS.sort(key=lambda entry: -len(entry[0]))
_ANY = "|".join(f"(?:{pattern})" for _, pattern in _PATTERNS)
_FORWARD = re.compile(
    rf"(?P<n>-?\d+(?:\.\d+)?)\s*(?P<a>{_ANY})\s+(?:in|to|into|as|is how many)\s+(?P<b>{_ANY})\b",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(
    rf"how many (?P<b>{_ANY}) (?:are )?(?:there )?(?:is |are |make up |do )?(?:in|is)?\s*"
    rf"(?P<n>-?\d+(?:\.\d+)?|an?|one|the)?\s*(?P<a>{_ANY})\b",
    re.IGNORECASE,
)


def answer(said: str) -> str | None:
    """ "How many feet are in a mile?" gives "1 mile is 5280 feet."; None for text that asks no conversion."""
    text = with_digits(said).rstrip(" ?.!")
    match = _HOW_MANY.search(text) or _FORWARD.search(text)
    if not match:
        return None
    number = match["n"] or "1"
    amount = Fraction(number) if number[-1].isdigit() else Fraction(1)
    source, target = _named(match["a"]), _named(match["b"])
    if source in _TEMPERATURES or target in _TEMPERATURES:
        if source == target or source not in _TEMPERATURES or target not in _TEMPERATURES:
            return _mismatch(source, target)
        is_celsius = source == "degrees Celsius"
        result = amount * Fraction(9, 5) + 32 if is_celsius else (amount - 32) * Fraction(5, 9)
        return f"{as_text(amount)} {source} is {_about(result, 1)} {target}."
    if _UNITS[source][0] != _UNITS[target][0]:
        return _mismatch(source, target)
    result = amount * _UNITS[source][1] / _UNITS[target][1]
    return f"{as_text(amount)} {_counted(source, amount)} is {_about(result, 4)} {_counted(target, result)}."


def _named(spelling: str) -> str:
    return next(name for name, pattern in _PATTERNS if re.fullmatch(pattern, spelling, re.IGNORECASE))


def _about(value: Fraction, digits: int) -> str:
    short = as_text(value, digits)
    return short if Fraction(short) == value else f"about {short}"


def _counted(unit: str, amount: Fraction) -> str:
    if amount != 1:
        return unit
    head, *rest = unit.split(" ")
    singular = {"feet": "foot", "inches": "inch", "stone": "stone"}.get(head, head.removesuffix("s"))
    return " ".join([singular, *rest])


def _mismatch(source: str, target: str) -> str:
    return f"I cannot convert {source} to {target}: they measure different things."
