"""What the browser tests stand on: the site in a thread, a speaking upstream, Chromium with a spoken question at its
microphone, people who use it, and a console that must stay clean. The tests themselves are beside this file.

Run them in a process of their own (`make test` does): once the synchronous Playwright has run, no asyncio test can.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client, override_settings
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.chat_page import ChatPage
from tests.browser.pictures import Picture, keep
from tests.browser.site_thread import SiteThread
from tests.browser.sound import write_spoken
from tests.browser.tcp_proxy import TcpProxy
from tests.browser.upstream_process import UpstreamProcess

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUESTION = "What is seven times eight?"
PASSWORD = "correct horse battery staple"
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]

# Bounds on waits, for a loaded machine; the plugin's own is five seconds.
expect.set_options(timeout=30_000)
# Playwright keeps an event loop in the test's thread; the ORM is used there all the same, synchronously.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "screenshot: makes a picture for the documentation")
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.getoption("--output"), ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last, for a run that holds others too."""
    items.sort(key=lambda item: item.path.is_relative_to(HERE))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails tells what came from the microphones of its tabs."""
    report = yield
    if call.when == "call" and report.failed:
        for tab in getattr(item, "funcargs", {}).get("tabs", ()):
            with contextlib.suppress(PlaywrightError):  # a tab that is closed, or a page without the tap
                report.sections.append(("Microphone", json.dumps(tab.evaluate("window.__microphone()"))))
    return report


def eventually(check: Callable[[], object], what: str, within_sec: float = 30.0) -> None:
    """Wait until `check()` is true; fails with `what` when it is not in time."""
    pause = threading.Event()
    deadline = time.monotonic() + within_sec
    while not check():
        assert time.monotonic() < deadline, f"not within {within_sec:.0f} s: {what}"
        pause.wait(0.05)


# ---- the browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium to use. A missing one fails the test: browser tests are never skipped."""
    found = subprocess.run(
        [ROOT / "scripts" / "ensure-browser", "--find"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if found.returncode != 0:
        pytest.fail(found.stderr, pytrace=False)
    return found.stdout.strip()


@pytest.fixture(scope="session")
def question_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The question, spoken. The browser plays it anew each time the microphone is opened."""
    return write_spoken(tmp_path_factory.mktemp("microphone") / "question.wav", QUESTION)


@pytest.fixture(scope="session")
def base_url() -> None:
    """Tests name whole addresses. The plugin's own fixture of this name warns of its future, an error here."""


@pytest.fixture(scope="session")
def browser_type_launch_args(chromium_path: str, question_wav: Path) -> dict[str, object]:
    microphone = [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={question_wav}%noloop",
    ]
    return {"executable_path": chromium_path, "args": [*FLAGS, *microphone]}


@pytest.fixture
def browser_without_microphone(browser_type: BrowserType, chromium_path: str) -> Iterator[Browser]:
    """A Chromium on a machine that has no microphone."""
    browser = browser_type.launch(executable_path=chromium_path, args=[*FLAGS, "--disable-audio-input"])
    yield browser
    browser.close()


# ---- the other two ends ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def speaking_upstream() -> Iterator[UpstreamProcess]:
    """The local Realtime server with its real ears and voice."""
    with UpstreamProcess() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def site_thread(django_db_setup: None, speaking_upstream: UpstreamProcess) -> Iterator[SiteThread]:
    """The whole site, once for all browser tests."""
    with (
        override_settings(REALTIME_BASE_URL=speaking_upstream.url, REALTIME_RESUME_GRACE_SEC=2),
        SiteThread() as site,
    ):
        yield site


def sessions_are_over() -> bool:
    from realtime.models import RealtimeSession

    return not RealtimeSession.objects.filter(ended_at=None).exists()


@pytest.fixture
def site(transactional_db: None, site_thread: SiteThread) -> Iterator[SiteThread]:
    """The site with an empty database, which is emptied again when the last session has been written down."""
    yield site_thread
    eventually(sessions_are_over, "every session is over", within_sec=60)
    site_thread.forget_refusals()


@pytest.fixture
def upstream_is(site: SiteThread, settings) -> Callable[[str], None]:  # type: ignore[no-untyped-def]
    """Point the relay to another upstream for one test."""

    def change(url: str) -> None:
        settings.REALTIME_BASE_URL = url

    return change


@pytest.fixture
def cable(site: SiteThread) -> Iterator[TcpProxy]:
    """A connection between browser and site that the test can cut."""
    with TcpProxy(site.port) as proxy:
        yield proxy


# ---- people ----------------------------------------------------------------------------------------------------


@dataclass
class Console:
    """What the pages of a test complained about, less what the test expects."""

    complaints: list[str] = field(default_factory=list)
    _allowed: list[str] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """The test provokes complaints that match; say why beside the call."""
        self._allowed.append(pattern)

    def watch(self, context: BrowserContext) -> None:
        context.on(
            "console",
            lambda message: message.type in {"error", "warning"} and self.complaints.append(message.text),
        )
        context.on("weberror", lambda problem: self.complaints.append(str(problem.error)))

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(re.search(p, text) for p in self._allowed)]


@pytest.fixture(autouse=True)
def console() -> Iterator[Console]:
    """Every browser test ends with a look at the browser's console, which must be empty."""
    console = Console()
    yield console
    assert console.unexpected == []


@dataclass(frozen=True)
class Person:
    """Somebody with an account, and their tab."""

    user: object
    chat: ChatPage

    @property
    def page(self) -> Page:
        return self.chat.page


@pytest.fixture
def tabs() -> list[Page]:
    """The tabs of a test's people, in the order in which they were opened."""
    return []


@pytest.fixture
def picture(tabs: list[Page], browser_name: str) -> Picture:
    """Keep a picture of the newest tab: `picture("muted")`."""

    def shoot(name: str, page: Page | None = None) -> Path:
        tab = page or tabs[-1]
        return keep(browser_name, name, lambda path: tab.screenshot(path=path, animations="disabled"))

    return shoot


@pytest.fixture
def person(site: SiteThread, console: Console, tabs: list[Page], new_context) -> Callable[..., Person]:  # type: ignore[no-untyped-def]
    """Make somebody: `person("ada")` has an account, is logged in, and may use the microphone.

    `logged_in=False` leaves the login form to the test, `microphone=False` the permission; `tapped=False` keeps nothing
    of what is played; `origin` leads the tab through a proxy; `browser` opens it in another browser.
    """

    def make(
        name: str = "ada",
        *,
        logged_in: bool = True,
        microphone: bool = True,
        tapped: bool = True,
        origin: str | None = None,
        browser: Browser | None = None,
        **context_options: object,
    ) -> Person:
        origin = origin or site.origin
        context: BrowserContext = (browser.new_context if browser else new_context)(**context_options)
        context.set_default_timeout(30_000)
        console.watch(context)
        if tapped:
            context.add_init_script(path=HERE / "tap.js")
        if microphone:
            context.grant_permissions(["microphone"], origin=origin)
        user = get_user_model().objects.create_user(name, f"{name}@example.org", PASSWORD)
        if logged_in:
            client = Client()
            client.force_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME]
            context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": origin}])
        tabs.append(context.new_page())
        return Person(user, ChatPage(tabs[-1], origin))

    return make
