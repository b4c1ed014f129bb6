"""Firefox as the system has it, driven over WebDriver BiDi, and Chromium with a real sound card: both by Playwright."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, Playwright

from tests.browser.conftest import FLAGS

LAUNCH_MS = 60_000
# To take a picture Playwright puts a style of its own into the page, which the page's policy refuses, aloud.
STYLE_OF_SCREENSHOTS = r"sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT\+SmwNZWA="


def launch_firefox(playwright: Playwright, environment: dict[str, str]) -> Browser:
    """Start it with the microphone granted.

    About one start in twenty-five hangs, in Firefox and not in us: then it is started once more.
    """
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    assert path, "there is no Firefox: scripts/ensure-other-browsers"

    def start() -> Browser:
        return playwright.firefox.launch(
            channel="moz-firefox",
            executable_path=path,
            timeout=LAUNCH_MS,
            env=environment,
            firefox_user_prefs={"permissions.default.microphone": 1},
        )

    try:
        return start()
    except Error:
        return start()


def launch_chromium(playwright: Playwright, environment: dict[str, str], path: str) -> Browser:
    """Start it with the machine's sound card instead of devices of its own."""
    return playwright.chromium.launch(
        executable_path=path,
        env=environment,
        args=[*FLAGS, "--use-fake-ui-for-media-stream"],
        ignore_default_args=["--mute-audio"],
    )


class PlaywrightTab:
    """One tab; see tab.py for the verbs."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def go(self, url: str) -> None:
        self.page.goto(url)

    def click(self, css: str) -> None:
        self.page.locator(css).first.click()

    def type(self, css: str, text: str) -> None:
        self.page.locator(css).fill(text)

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def shoot(self, path: Path) -> object:
        return self.page.screenshot(path=path)
