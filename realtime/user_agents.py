"""What a browser's User-Agent header says in two words: browser and device. Pure; for lists, never for decisions."""

from __future__ import annotations

import re

# The first that is found counts: most browsers also claim to be the ones below them.
BROWSERS = (
    ("Edge", r"Edg(?:A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:HeadlessChrome|Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* .*Safari/"),
)
DEVICES = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android phone", r"Android.*Mobile"),
    ("Android tablet", r"Android"),
    ("Windows", r"Windows"),
    ("Mac", r"Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux|X11"),
)


def browser_of(user_agent: str) -> str:
    """Name and main version, such as "Firefox 140"; "other" for programs and browsers not known here, "" for none."""
    for name, pattern in BROWSERS:
        if found := re.search(pattern, user_agent):
            return f"{name} {found[1]}"[:40]
    return "other" if user_agent else ""


def device_of(user_agent: str) -> str:
    """The kind of device, such as "Android phone". An iPad mostly says that it is a Mac."""
    for name, pattern in DEVICES:
        if re.search(pattern, user_agent):
            return name
    return "other" if user_agent else ""
