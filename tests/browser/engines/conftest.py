"""The other engines: a sound card, a Firefox and a WebKit that use it, and one person's tab in each in turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, Playwright
from selenium.webdriver import WebKitGTK

from tests.browser.conftest import PASSWORD, Console
from tests.browser.engines import with_playwright, with_selenium
from tests.browser.engines.sound_card import SoundCard
from tests.browser.engines.tab import Tab
from tests.browser.pictures import Picture, keep
from tests.browser.site_thread import SiteThread


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundCard]:
    with SoundCard(tmp_path_factory.mktemp("sound-card")) as card:
        yield card


@pytest.fixture(scope="session")
def firefox_browser(playwright: Playwright, card: SoundCard) -> Iterator[Browser]:
    browser = with_playwright.launch_firefox(playwright, {**os.environ, **card.environment})
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def chromium_browser(playwright: Playwright, card: SoundCard, chromium_path: str) -> Iterator[Browser]:
    browser = with_playwright.launch_chromium(playwright, {**os.environ, **card.environment}, chromium_path)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def screen() -> Iterator[str]:
    with with_selenium.screen() as screen:
        yield screen


@pytest.fixture
def webkit_driver(screen: str, card: SoundCard) -> Iterator[WebKitGTK]:
    """A new one for each test: it keeps its cookies for as long as it runs."""
    with with_selenium.launch_webkit({**card.environment, "DISPLAY": screen}) as driver:
        yield driver


@pytest.fixture(params=["firefox", "webkit"])
def engine(request: pytest.FixtureRequest) -> str:
    """Whose turn it is; a test that names others says so with an indirect parameter."""
    name: str = request.param
    return name


@pytest.fixture
def tab(engine: str, site: SiteThread, console: Console, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """An empty tab on the site."""
    if engine == "webkit":
        yield Tab(with_selenium.SeleniumTab(request.getfixturevalue("webkit_driver")), site.origin)
        return
    browser: Browser = request.getfixturevalue(f"{engine}_browser")
    context = browser.new_context(viewport={"width": 1240, "height": 860})
    context.set_default_timeout(30_000)
    console.watch(context)
    console.allow(with_playwright.STYLE_OF_SCREENSHOTS)
    yield Tab(with_playwright.PlaywrightTab(context.new_page()), site.origin)
    context.close()


@pytest.fixture
def ada(tab: Tab) -> Tab:
    """Ada's tab: she has an account and has logged in through the form."""
    get_user_model().objects.create_user("ada", "ada@example.org", PASSWORD)
    tab.log_in("ada", PASSWORD)
    return tab


@pytest.fixture
def picture(engine: str, tab: Tab) -> Picture:
    """Keep a picture of the tab."""

    def shoot(name: str, page: object = None) -> Path:
        return keep(engine, name, tab.engine.shoot)

    return shoot
