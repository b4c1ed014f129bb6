"""What the benches of the browser's side stand on: the site and the local server as processes, a Chromium with taps.

Moments are ms of the machine's wall clock, in the page (browser_tap.js) and between relay and upstream (`Wire`).
"""

from __future__ import annotations

import asyncio
import base64
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from tests.browser.sound import write_spoken  # noqa: E402
from tests.browser.tcp_proxy import TcpProxy  # noqa: E402
from tests.browser.upstream_process import UpstreamProcess  # noqa: E402
from tests.serve.site_process import PASSWORD, SiteProcess, prepare  # noqa: E402

LONGEST_WAIT_SEC = 60.0
FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic"]
WATCHED = {
    b'"input_audio_buffer.speech_started"': "upstream: speech started",
    b'"input_audio_buffer.speech_stopped"': "upstream: speech stopped",
    b'"response.created"': "upstream: response created",
    b'"response.output_audio.delta"': "upstream: audio",
}
Marks = list[tuple[str, float]]


class Wire(TcpProxy):
    """The cable between relay and upstream, which notes when an event passes. Both ends are told nothing of it."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.marks: Marks = []

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                now_ms = time.time() * 1000
                self.marks += [(name, now_ms) for event, name in WATCHED.items() if event in data]
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class Stage:
    """One site, its upstream behind a `Wire`, and a Chromium."""

    def __init__(self, browser: Browser, origin: str, wire: Wire, folder: Path) -> None:
        self.browser, self.origin, self.wire, self.folder = browser, origin, wire, folder

    def page(self, *, own_microphone: bool = True) -> Page:
        """A tab of Ada's, logged in, on the chat page, in a browser profile of its own."""
        context = self.browser.new_context(bypass_csp=True, viewport={"width": 1200, "height": 800})
        context.set_default_timeout(LONGEST_WAIT_SEC * 1000)
        context.grant_permissions(["microphone"], origin=self.origin)
        context.add_init_script(path=Path(__file__).with_name("browser_tap.js"))
        if own_microphone:
            context.add_init_script("window.__ownMicrophone()")
        page = context.new_page()
        page.goto(f"{self.origin}/accounts/login/?next=/chat/")
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/chat/**")
        return page

    def marks(self, page: Page, since_ms: float = 0.0) -> Marks:
        """Everything noted since a moment, in order."""
        noted = [(mark["what"], float(mark["at"])) for mark in page.evaluate("window.__marks")]
        return sorted(
            (mark for mark in noted + self.wire.marks if mark[1] >= since_ms), key=lambda mark: mark[1]
        )


@contextmanager
def stage() -> Iterator[Stage]:
    """Everything started, and ended again."""
    chromium = subprocess.run(
        [ROOT / "scripts" / "ensure-browser", "--find"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="browser-bench-") as name:
        folder = Path(name)
        prepare(folder)
        with (
            UpstreamProcess() as upstream,
            Wire(int(upstream.url.split(":")[2].split("/")[0])) as wire,
            SiteProcess(folder, "uvicorn", f"ws://127.0.0.1:{wire.port}/v1/realtime") as site,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(
                executable_path=chromium, args=[*FLAGS, "--use-fake-device-for-media-stream"]
            )
            yield Stage(browser, f"http://127.0.0.1:{site.port}", wire, folder)
            browser.close()


def now_ms() -> float:
    return time.time() * 1000


def until(page: Page, check: Callable[[], Any], what: str) -> Any:
    """Wait for something true and return it, while the page's events are taken in."""
    deadline = time.monotonic() + LONGEST_WAIT_SEC
    while not (found := check()):
        if time.monotonic() > deadline:
            raise SystemExit(f"Not within {LONGEST_WAIT_SEC:.0f} seconds: {what}")
        page.wait_for_timeout(20)
    return found


def state_of(page: Page) -> str:
    return str(page.evaluate("document.getElementById('voice-panel').dataset.state"))


def await_state(page: Page, *states: str) -> None:
    until(page, lambda: state_of(page) in states, f"state {states}")


def first(marks: Marks, what: str, since_ms: float = 0.0) -> float:
    """When this was first noted since a moment; infinity when it was not."""
    return next((at for name, at in marks if name == what and at >= since_ms), float("inf"))


def spoken(folder: Path, text: str) -> str:
    """A WAV of the text being said, as base64."""
    return base64.b64encode(write_spoken(folder / "said.wav", text).read_bytes()).decode()


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def table(rows: dict[str, list[float]]) -> None:
    """Print a Markdown table: median, p95 and highest of each row, in ms."""
    print("\n| what | median ms | p95 ms | highest ms | n |\n|---|---|---|---|---|")
    for name, values in rows.items():
        figures = (statistics.median(values), percentile(values, 0.95), max(values))
        print(f"| {name} | {' | '.join(f'{value:.0f}' for value in figures)} | {len(values)} |")
