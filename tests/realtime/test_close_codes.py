"""The codes that sockets are closed with: those of the protocol page, and only such as each web server can send."""

from __future__ import annotations

import re

from realtime import exceptions, session_life
from tests.realtime.test_browser_events import PAGE
from tests.test_docs import ROOT

# Before a socket is there, a code is never seen: the handshake is refused.
BEFORE_A_SOCKET = {4401, 4404}


def in_the_code() -> set[int]:
    """Those of errors and ends, and those that are written out in the relay. Web servers know some of their own."""
    found = {code for code in session_life.END_CODES.values() if code}
    errors = [exceptions.RelayError]
    while errors:
        error = errors.pop()
        found.add(error.close_code)
        errors += error.__subclasses__()
    for path in sorted((ROOT / "realtime").glob("*.py")):
        text = "" if path.name.startswith("serve") else path.read_text(encoding="utf-8")
        for written in (
            r"close\((\d{4})\b",
            r"close_code = (\d{4})\b",
            r'"code": (4\d{3})\b',
            r'", (4\d{3})\n',
        ):
            found |= {int(code) for code in re.findall(written, text)}
    return found


def on_the_page() -> set[int]:
    """Those that the protocol page explains."""
    section = PAGE.read_text(encoding="utf-8").split("## Close codes\n")[1].split("\n## ")[0]
    return {int(code) for code in re.findall(r"^\| (\d{4}) \|", section, re.MULTILINE)}


def test_each_close_code_is_explained_on_the_protocol_page() -> None:
    assert in_the_code() - BEFORE_A_SOCKET == on_the_page()


def test_each_close_code_is_one_that_daphne_can_send() -> None:
    assert {code for code in in_the_code() if code != 1000 and not 4000 <= code <= 4999} == set()
