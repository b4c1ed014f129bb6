"""What a page makes a browser load, in bytes as they are in the tree: no build step could make it less."""

from __future__ import annotations

import re
from pathlib import Path

from django.template.loader import get_template

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "static"
IMPORT = re.compile(r'^(?:import|export)\b[^"]*?\bfrom "(\.[^"]+)";$', re.MULTILINE)
CHAT_PAGE_BYTES = 51_500  # of JavaScript and CSS, before somebody touches the voice button
FIRST_CALL_BYTES = 160_000  # the chat page with a call


def loaded_with(module: Path) -> set[Path]:
    """The module and all that it imports statically; what it imports by `import()` comes later."""
    found: set[Path] = set()
    waiting = [module.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [(path.parent / name).resolve() for name in IMPORT.findall(path.read_text())]
    return found


def stylesheets(*templates: str) -> set[Path]:
    text = "".join((ROOT / "templates" / name).read_text() for name in templates)
    return {STATIC / name for name in re.findall(r'{% static "(css/[^"]+)" %}', text)}


def test_error_pages_stand_alone_and_are_dressed() -> None:
    """They are made without a request, and after whatever broke."""
    for code in ("403", "404", "500"):
        page = get_template(f"{code}.html").render()
        assert re.findall(r'href="[^"]*/css/(\w+)[^"/]*\.css"', page) == ["tokens", "base", "page"]
        assert f'<p class="code">{code}</p>' in page
        (title,), (heading,) = re.findall("<title>(.+)</title>", page), re.findall("<h1>(.+)</h1>", page)
        assert title == heading


def size_bytes(files: set[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def test_the_chat_page_is_light_before_the_first_call() -> None:
    files = loaded_with(STATIC / "chat/main.js") | stylesheets("base.html", "chat.html")
    later = {STATIC / "voice/main.js", STATIC / "voice/panel.js", STATIC / "css/panel.css"}
    later |= {
        STATIC / f"chat/{name}.js"
        for name in ("keeping", "menu", "replay", "search", "sidebar_menu", "typed")
    }
    assert not files & later, "what a call needs is loaded when somebody wants to talk"
    assert size_bytes(files) < CHAT_PAGE_BYTES


def test_a_call_stays_small() -> None:
    """Settings, details and the microphone's check come when they are opened."""
    files = (
        loaded_with(STATIC / "chat/main.js")
        | stylesheets("base.html", "chat.html")
        | {STATIC / "css/panel.css"}
    )
    for module in (
        "voice/main.js",
        "voice/panel.js",
        "voice/worklets/capture.js",
        "voice/worklets/playout.js",
    ):
        files |= loaded_with(STATIC / module)
    assert size_bytes(files) < FIRST_CALL_BYTES
