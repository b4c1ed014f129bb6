"""Typed readers of environment variables. Holds no setting: `settings.py` is the only caller.

A value that cannot be read is noted in `problems` and replaced by the default, so that the system checks can
name every wrong variable at once (`voiceproject.E001`) instead of stopping at the first.
"""

import os
from collections.abc import Callable
from pathlib import Path

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}

problems: list[str] = []


class Secret(str):
    """A string that does not show itself in `repr`, tracebacks or debug pages; `str()` methods give the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('********')" if self else "Secret('')"


def env_str(name: str, default: str = "") -> str:
    """The variable's text without surrounding blanks; the default when it is unset."""
    return os.environ.get(name, default).strip()


def env_bool(name: str, default: bool) -> bool:
    """True for 1/true/yes/on, False for 0/false/no/off, in any case."""
    word = os.environ.get(name)
    if word is None:
        return default
    if word.strip().lower() in TRUE_WORDS:
        return True
    if word.strip().lower() in FALSE_WORDS:
        return False
    problems.append(f"{name} must be true or false; it is {word!r}.")
    return default


def env_int(name: str, default: int, *, low: int | None = None, high: int | None = None) -> int:
    """A whole number within [low, high]."""
    return int(_number(name, default, low, high, int, "a whole number"))


def env_float(name: str, default: float, *, low: float | None = None, high: float | None = None) -> float:
    """A number within [low, high]."""
    return float(_number(name, default, low, high, float, "a number"))


def _number(
    name: str, default: float, low: float | None, high: float | None, kind: Callable[[str], float], words: str
) -> float:
    text = os.environ.get(name)
    if text is None or not text.strip():
        return default
    try:
        value = kind(text.strip())
    except ValueError:
        problems.append(f"{name} must be {words}; it is {text!r}.")
        return default
    if (low is not None and value < low) or (high is not None and value > high):
        problems.append(f"{name} must be between {low} and {high}; it is {value}.")
        return default
    return value


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of a fixed set of words."""
    value = env_str(name) or default
    if value not in choices:
        problems.append(f"{name} must be one of {', '.join(choices)}; it is {value!r}.")
        return default
    return value


def env_list(name: str, default: str = "") -> list[str]:
    """Words separated by commas, blanks around them removed."""
    return [word.strip() for word in env_str(name, default).split(",") if word.strip()]


def env_secret(name: str) -> Secret:
    """The value of NAME, or the content of the file that NAME_FILE points to (for Docker and systemd secrets)."""
    path = os.environ.get(f"{name}_FILE", "").strip()
    if path and not os.environ.get(name):
        try:
            return Secret(Path(path).read_text(encoding="utf-8").strip())
        except OSError as error:
            problems.append(f"{name}_FILE points to a file that cannot be read ({error.strerror}).")
            return Secret("")
    return Secret(os.environ.get(name, "").strip())
