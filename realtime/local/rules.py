"""Small validators from which the shapes of client events are built. They raise `ProtocolError`, change nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from realtime.local.errors import ProtocolError

Rule = Callable[[Any, str], None]

_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
}


def _kind(value: Any) -> str:
    return "null" if value is None else _NAMES.get(type(value), type(value).__name__)


def wrong_type(path: str, expected: str, value: Any) -> ProtocolError:
    return ProtocolError(
        "invalid_type",
        f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead.",
        path,
    )


def missing(path: str) -> ProtocolError:
    return ProtocolError("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def bad_value(path: str, why: str) -> ProtocolError:
    return ProtocolError("invalid_value", f"Invalid value for '{path}': {why}", path)


def text(longest: int | None = None) -> Rule:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "a string", value)
        if longest is not None and len(value) > longest:
            raise ProtocolError(
                "string_above_max_length", f"Invalid '{path}': expected at most {longest} characters.", path
            )

    return check


def boolean(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise wrong_type(path, "a boolean", value)


def anything(value: Any, path: str) -> None:
    """Accepts all values: the field is kept and given back, nothing here depends on it."""


def number(low: float, high: float, whole: bool = False) -> Rule:
    def check(value: Any, path: str) -> None:
        wanted = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise wrong_type(path, "an integer" if whole else "a number", value)
        if not low <= value <= high:
            raise bad_value(path, f"expected a value from {low} to {high}, but got {value}.")

    return check


def choice(*allowed: str) -> Rule:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "a string", value)
        if value not in allowed:
            listed = ", ".join(f"'{item}'" for item in allowed)
            raise ProtocolError(
                "invalid_value", f"Invalid value: '{value[:64]}'. Supported values are: {listed}.", path
            )

    return check


def either(expected: str, *rules: Rule) -> Rule:
    """The first rule that does not fail on the type decides."""

    def check(value: Any, path: str) -> None:
        for rule in rules:
            try:
                return rule(value, path)
            except ProtocolError as error:
                if error.code != "invalid_type":
                    raise
        raise wrong_type(path, expected, value)

    return check


def nullable(rule: Rule) -> Rule:
    def check(value: Any, path: str) -> None:
        if value is not None:
            rule(value, path)

    return check


def list_of(rule: Rule, at_most: int | None = None) -> Rule:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "an array", value)
        if at_most is not None and len(value) > at_most:
            raise bad_value(path, f"expected at most {at_most} entries.")
        for index, entry in enumerate(value):
            rule(entry, f"{path}[{index}]")

    return check


def record(fields: Mapping[str, Rule], required: tuple[str, ...] = (), open: bool = False) -> Rule:
    """An object with these fields. Unknown ones are refused unless `open`."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                raise missing(prefix + name)
        for name, entry in value.items():
            if name in fields:
                fields[name](entry, prefix + name)
            elif not open:
                raise ProtocolError(
                    "unknown_parameter", f"Unknown parameter: '{prefix}{name}'.", prefix + name
                )

    return check


def tagged(variants: Mapping[str, Rule]) -> Rule:
    """An object whose `type` chooses its shape."""
    known = choice(*variants)

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        if "type" not in value:
            raise missing(f"{path}.type")
        known(value["type"], f"{path}.type")
        variants[value["type"]](value, path)

    return check


def decode_base64(value: Any, path: str, sample_bytes: int) -> bytes:
    """Strict base64 of whole samples."""
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)
    try:
        audio = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise bad_value(path, "expected base64-encoded audio bytes.") from None
    if len(audio) % sample_bytes:
        raise bad_value(path, f"expected whole samples of {sample_bytes} bytes.")
    return audio
