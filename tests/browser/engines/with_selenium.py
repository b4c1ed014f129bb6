"""WebKitGTK's small browser, driven by its own WebDriver on a screen that is not there. It is not Safari."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

LAUNCH_SEC = 60
FLAGS = ["--automation", "--enable-media-stream=true", "--autoplay-policy=allow"]
PLACES = [Path("/usr/lib"), Path("/usr/libexec"), Path("/usr/lib64")]


def mini_browser() -> str:
    """The path of MiniBrowser, which no system has on its PATH."""
    found = [str(path) for place in PLACES for path in place.glob("**/webkit2gtk-4.*/MiniBrowser")]
    assert found, "there is no MiniBrowser of WebKitGTK: scripts/ensure-other-browsers"
    return found[-1]


@contextmanager
def screen() -> Iterator[str]:
    """A screen in memory; gives the value of DISPLAY."""
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        number = server.stdout.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


@contextmanager
def launch_webkit(environment: dict[str, str]) -> Iterator[WebKitGTK]:
    """Start it. The microphone is always granted: its WebDriver knows no permissions."""
    options = Options()
    options.binary_location = mini_browser()
    for flag in FLAGS:
        options.add_argument(flag)
    settings = {**os.environ, **environment, "LIBGL_ALWAYS_SOFTWARE": "1", "NO_AT_BRIDGE": "1"}
    driver_path = shutil.which("WebKitWebDriver")
    assert driver_path, "there is no WebKitWebDriver: scripts/ensure-other-browsers"
    with warnings.catch_warnings():
        # Selenium warns of its own call of itself.
        warnings.filterwarnings("ignore", "setting remote_server_addr", DeprecationWarning)
        driver = WebKitGTK(options=options, service=Service(driver_path, env=settings))
    try:
        driver.set_script_timeout(LAUNCH_SEC)
        driver.set_window_rect(0, 0, 1240, 860)
        yield driver
    finally:
        driver.quit()


class SeleniumTab:
    """One tab; see tab.py for the verbs."""

    def __init__(self, driver: WebKitGTK) -> None:
        self.driver = driver

    def go(self, url: str) -> None:
        self.driver.get(url)

    def click(self, css: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, css).click()

    def type(self, css: str, text: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, css).send_keys(text)

    def evaluate(self, expression: str) -> Any:
        return self.driver.execute_script(f"return ({expression})")

    def shoot(self, path: Path) -> object:
        return self.driver.save_screenshot(str(path))
