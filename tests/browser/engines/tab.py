"""What a test does with a tab, whichever engine draws it. How they are driven is in the two files with_*.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.browser.chat_page import LIVE_STATES
from tests.browser.conftest import eventually


class Engine(Protocol):
    """The few verbs that every engine has; `css` names one element that is there."""

    def go(self, url: str) -> None: ...
    def click(self, css: str) -> None: ...
    def type(self, css: str, text: str) -> None: ...
    def evaluate(self, expression: str) -> Any: ...
    def shoot(self, path: Path) -> object: ...


class Tab:
    """The chat page in some engine. `origin` is scheme, host and port."""

    def __init__(self, engine: Engine, origin: str) -> None:
        self.engine = engine
        self.origin = origin

    def log_in(self, username: str, password: str) -> None:
        self.engine.go(f"{self.origin}/accounts/login/")
        self.engine.type("input[name=username]", username)
        self.engine.type("input[name=password]", password)
        self.engine.click("main form button[type=submit]")
        self._await("location.pathname.startsWith('/chat') && document.readyState === 'complete'", "the chat")

    @property
    def state(self) -> str:
        """The panel's state."""
        return str(self.engine.evaluate("document.querySelector('#voice-panel').dataset.state"))

    def await_state(self, states: str = LIVE_STATES, within_sec: float = 60.0) -> None:
        """Wait for one of the states, written `this|that`."""
        eventually(lambda: re.fullmatch(states, self.state), f"state {states}", within_sec)

    def texts(self) -> list[tuple[str, str]]:
        """(role, text) of each message, from top to bottom."""
        rows = self.engine.evaluate(
            "[...document.querySelectorAll('#messages > .message')]"
            ".map(row => [row.dataset.role, (row.querySelector('.text')?.innerText ?? '').trim()])"
        )
        return [(role, text) for role, text in rows]

    def await_row(self, role: str, pattern: str, within_sec: float = 60.0) -> None:
        """Wait for a message of the role whose text matches, in any case."""

        def is_there() -> bool:
            return any(who == role and re.search(pattern, text, re.IGNORECASE) for who, text in self.texts())

        eventually(is_there, f"a message of {role} like {pattern}", within_sec)

    def text(self, css: str) -> str:
        """What one element says."""
        return str(self.engine.evaluate(f"document.querySelector({css!r}).innerText"))

    def _await(self, expression: str, what: str, within_sec: float = 60.0) -> None:
        check: Callable[[], object] = lambda: self.engine.evaluate(expression)  # noqa: E731
        eventually(check, what, within_sec)
