"""The chat page as a person sees it: what can be done on it and read from it. No assertions of a test's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

# Generous: each of these is a bound on a wait, not a measurement.
SOON_MS = 30_000
ANSWER_MS = 60_000
LIVE_STATES = r"listening|hearing|thinking|speaking"


@dataclass(frozen=True)
class ChatPage:
    """One tab. `origin` is scheme, host and port, without a slash at the end."""

    page: Page
    origin: str

    def open(self, path: str = "/chat/") -> ChatPage:
        """Go to a page of the site and wait for it."""
        self.page.goto(self.origin + path)
        return self

    def log_in(self, username: str, password: str) -> ChatPage:
        """Through the form, as a person does."""
        self.open("/accounts/login/")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(f"{self.origin}/chat/**", timeout=SOON_MS)
        return self

    @property
    def panel(self) -> Locator:
        return self.page.locator("#voice-panel")

    @property
    def problem(self) -> Locator:
        return self.panel.locator("[data-part=problem]:visible")

    def rows(self, role: str | None = None) -> Locator:
        """Messages on the page, all or those of `user` or `assistant`."""
        return self.page.locator("#messages > .message" + (f"[data-role={role}]" if role else ""))

    def texts(self) -> list[tuple[str, str]]:
        """(role, text) of each message, from top to bottom."""
        return [
            (row.get_attribute("data-role") or "", row.locator(".text").inner_text().strip())
            for row in self.rows().all()
        ]

    def start_voice(self) -> None:
        """Press the purple button."""
        self.page.locator("#voice-button").click()

    def await_call(self) -> None:
        """Wait until the call is live."""
        self.await_state(LIVE_STATES)

    def await_state(self, states: str, within_ms: int = SOON_MS) -> None:
        """Wait for one of the states, written `this|that`."""
        expect(self.panel).to_have_attribute("data-state", re.compile(f"^({states})$"), timeout=within_ms)

    def end_call(self) -> None:
        """Press *End the call*."""
        self.panel.locator("[data-act=end]").click()
        self.await_state("ended")

    def say_in_writing(self, text: str) -> None:
        """Type a message and send it."""
        self.page.locator("#composer-text").fill(text)
        self.page.locator("#send-button").click()

    def await_row(self, role: str, pattern: str, within_ms: int = ANSWER_MS) -> None:
        """Wait for a message of the role whose text matches, in any case."""
        row = self.rows(role).filter(has_text=re.compile(pattern, re.IGNORECASE))
        expect(row.first).to_be_visible(timeout=within_ms)
