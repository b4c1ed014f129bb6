"""Which of the session's tools a sentence asks for, with which arguments, and how their answer is told. Rules only."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from realtime.local.assistant.numbers import as_text, numbers_in

# Words of tool names and descriptions that say nothing about when the tool is meant.
_EMPTY_WORDS = """a an and any are as at be by can current do does for from function get gets give given has have how
i if in info information into is it its look lookup me my of on or return returns run set search show tell tells that
the their this to tool up use used user uses what when where which who will with you your fetch find list make read
about please could would new name"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
_PREPOSITION = re.compile(
    r"\b(?:in|at|for|near|to|from|about|of|on|called|named|with)\s+(.+)$", re.IGNORECASE
)
_PLACES = ("city", "location", "place", "country", "town", "address", "destination", "where")
_LONGEST_SPOKEN = 400
NEEDS = "To do that I need one thing more: the "


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to be made; `missing` names a required argument that was not said, which is then to be asked for."""

    name: str
    arguments: dict[str, Any]
    missing: str | None = None

    def as_json(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False)


def choose(said: str, tools: Sequence[dict[str, Any]], choice: Any) -> ToolCall | None:
    """The call that `said` asks for under `tool_choice`; None when no tool fits and none is demanded."""
    functions = [tool for tool in tools if tool.get("type") == "function" and tool.get("name")]
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        functions = [tool for tool in functions if tool["name"] == choice.get("name")]
        return _call(said, functions[0], forced=True) if functions else None
    best = max(functions, key=lambda tool: _fit(said, tool))
    if choice == "required":
        return _call(said, best, forced=True)
    return _call(said, best, forced=False) if _fit(said, best) >= 1 else None


def told(output: str) -> str:
    """A tool's output as a sentence. JSON is read out by its fields, anything else as it is, without markup."""
    try:
        value = json.loads(output)
    except ValueError:
        value = output
    text = _spoken(value)
    if not text:
        return "The tool gave no result."
    if isinstance(value, dict) and (problem := value.get("error")):
        return f"The tool reported a problem: {_spoken(problem).rstrip('.')}."
    if len(text) > _LONGEST_SPOKEN:
        text = text[:_LONGEST_SPOKEN].rsplit(" ", 1)[0] + ", and more"
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def _fit(said: str, tool: dict[str, Any]) -> float:
    """1 or more when the sentence names what the tool does: a word of its name, or two of its description."""
    heard = _stems(said)
    from_name = len(heard & _stems(_separated(tool["name"])))
    from_description = len(heard & _stems(tool.get("description") or ""))
    return from_name + from_description / 2


def _stems(text: str) -> set[str]:
    words = re.findall(r"[a-z]{2,}", text.lower())
    return {
        re.sub(r"(?:ing|ed|es|s|e|er)$", "", word) if len(word) > 4 else word
        for word in words
        if word not in _EMPTY
    }


def _separated(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-.]", " ", name)


def _call(said: str, tool: dict[str, Any], *, forced: bool) -> ToolCall:
    schema = tool.get("parameters") or {}
    declared, required = schema.get("properties") or {}, schema.get("required") or []
    properties = {name: entry if isinstance(entry, dict) else {} for name, entry in declared.items()}
    rest = said
    for option in (str(option) for entry in properties.values() for option in entry.get("enum") or ()):
        # "In Rome in celsius": what names a choice is no part of a place or a text.
        rest = re.sub(rf"\s+(?:(?:in|as|with)\s+)?\b{re.escape(option)}\b,?", "", rest, flags=re.IGNORECASE)
    arguments: dict[str, Any] = {}
    numbers = numbers_in(said)
    missing = None
    for name, property in properties.items():
        value = _argument(said, rest, name, property, numbers)
        if value is None and name in required:
            if forced:
                value = _blank(property, said)
            else:
                missing = missing or name
        if value is not None:
            arguments[name] = value
    return ToolCall(tool["name"], arguments, missing)


def _argument(said: str, rest: str, name: str, property: dict[str, Any], numbers: list[Any]) -> Any:
    """A value for one property, or None. `rest` is what was said without the choices that were named."""
    kind = property.get("type", "string")
    kind = next((entry for entry in kind if entry != "null"), "string") if isinstance(kind, list) else kind
    if options := property.get("enum"):
        return next((option for option in options if _mentions(said, str(option))), None)
    if kind in ("integer", "number"):
        if not numbers:
            return None
        value = numbers.pop(0)
        return int(value) if kind == "integer" or value.denominator == 1 else float(value)
    if kind == "boolean":
        off = re.search(r"\b(off|not|disable|stop|no|without|don't)\b", said, re.IGNORECASE)
        return not off
    if kind == "array" and (property.get("items") or {}).get("type") in ("number", "integer"):
        values, numbers[:] = list(numbers), []
        return [int(value) if value.denominator == 1 else float(value) for value in values] or None
    return _phrase(rest, name) if kind == "string" else None


def _phrase(said: str, name: str) -> str | None:
    """The words that stand for a text argument: what follows a preposition, or the rest of the sentence."""
    text = said.strip(" .?!")
    if any(place in name.lower() for place in _PLACES):
        match = re.search(r"\b(?:in|at|for|near|to|from|of)\s+(?:the )?([A-Za-z][\w' -]*)", text)
        phrase = match[1] if match else ""
        phrase = re.sub(
            r"\b(?:today|tomorrow|now|right now|please|this week|tonight)\b.*$",
            "",
            phrase,
            flags=re.IGNORECASE,
        )
        return phrase.strip(" ,") or None
    if re.search(r"date|day|when", name, re.IGNORECASE):
        match = re.search(
            r"\b(today|tomorrow|tonight|yesterday|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b",
            text,
            re.IGNORECASE,
        )
        return match[1].lower() if match else None
    if re.search(r"query|question|prompt|message|text|input|content|expression|term", name, re.IGNORECASE):
        match = _PREPOSITION.search(text)
        return match[1] if match and re.search("query|term", name, re.IGNORECASE) else text or None
    if match := re.search(rf"\b{re.escape(_separated(name))}\s+(?:is\s+)?([\w'-]+)", text, re.IGNORECASE):
        return match[1]
    match = _PREPOSITION.search(text)
    return match[1] if match else None


def _blank(property: dict[str, Any], said: str) -> Any:
    """What a demanded call gets for a required argument that nobody said."""
    if property.get("enum"):
        return property["enum"][0]
    kind = property.get("type")
    blanks = {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    return blanks.get(kind, said) if isinstance(kind, str) else said


def _mentions(said: str, option: str) -> bool:
    return re.search(rf"\b{re.escape(_separated(option))}\b", said, re.IGNORECASE) is not None


def _spoken(value: Any) -> str:
    if isinstance(value, dict):
        for key in ("answer", "result", "text", "message", "summary", "output"):
            if key in value and len(value) == 1:
                return _spoken(value[key])
        return ", ".join(f"{_separated(str(key))}: {_spoken(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "; ".join(_spoken(entry) for entry in value)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return as_text(numbers_in(f"{value:f}")[0]) if abs(value) < 10**15 else f"{value}"
    text = re.sub(r"https?://\S+", "a link", str(value))
    return re.sub(r"[*_`#<>]+", "", text).strip()
