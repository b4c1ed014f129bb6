"""Text of people and of the model in a real browser's parser: shown as text, on each page that shows it. Nothing acts.

The console of every browser test must stay empty, so a script that only the content policy stopped is seen as well.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.urls import reverse
from playwright.sync_api import expect

from conversations.services import create_conversation, record_message
from tests.browser.conftest import Person
from tests.security.test_markup import PAYLOADS

# Elements that only a payload could have made: no page of ours has them.
MADE = (
    "iframe, object, embed, base, math, [onerror], [onload], [onclick], [onfocus], [onmouseover], [ontoggle]"
)


def test_no_payload_acts_in_a_browser(person: Callable[..., Person]) -> None:
    ada = person(microphone=False)
    get_user_model().objects.filter(pk=ada.user.pk).update(is_staff=True, is_superuser=True)  # type: ignore[attr-defined]
    conversation = create_conversation(owner=ada.user, title=PAYLOADS[0])
    for title in PAYLOADS[1:8]:
        create_conversation(owner=ada.user, title=title)
    for position, payload in enumerate(PAYLOADS, 1):
        role = ("user", "assistant", "tool")[position % 3]
        record_message(
            conversation_id=conversation.pk, session_id=uuid4(), item_id=f"i{position}", position=position,
            role=role, modality="voice", status="completed", text=payload,
        )  # fmt: skip
    dialogs: list[str] = []
    page = ada.page
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    origin = ada.chat.origin
    for path in (
        f"/chat/{conversation.pk}/",
        "/history/",
        "/history/?q=script",
        reverse("admin:conversations_conversation_changelist"),
        reverse("admin:conversations_conversation_change", args=[conversation.pk]),
    ):
        page.goto(origin + path)
        assert page.url.startswith(origin)
        expect(page.locator("body")).to_contain_text("alert(1)" if "/admin/" not in path else "onversation")
        assert page.locator(f"main :is({MADE})").count() == 0, path
    page.goto(f"{origin}/chat/{conversation.pk}/")
    for payload in ("<img src=x onerror=alert(1)>", "[x](javascript:alert(1))<script>alert(1)</script>"):
        ada.chat.say_in_writing(payload)
        expect(page.locator("#messages > .message[data-role=user] .text").last).to_contain_text("alert(1)")
        expect(page.locator("#messages > .message[data-role=assistant]").last).to_be_visible()
    assert page.locator(f"#messages :is({MADE})").count() == 0
    assert page.locator("#messages a[href^=javascript]").count() == 0
    assert dialogs == []
