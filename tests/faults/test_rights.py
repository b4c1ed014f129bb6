"""Who may talk, and only once: F34, F35, F37. Two tabs, a token used by many, rights that end in mid-sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone

from conversations import services as conversations
from conversations.models import Conversation, Message
from realtime.models import Budget, RealtimeSession
from tests.faults.conftest import StageMaker
from tests.faults.servers import taking_turns
from tests.faults.stage import QUESTION, ask
from tests.realtime.page import Page, eventually

LONG = [{"hears": "Tell me a story.", "says": "Once upon a time there was a relay.", "audio_ms": 6_000}]
SHORT = [{"hears": "And then what?", "says": "Then it was told again.", "audio_ms": 500}]


async def test_of_two_tabs_the_newest_goes_on_and_the_order_stays(stage: StageMaker, ada: Any) -> None:
    async with stage(SHORT) as s:
        first = await s.talking(ada)
        await ask(first)
        second = await s.talking(ada, conversation_id=first.minted["conversation_id"])
        assert await first.until_closed() == 4409
        assert first.of("ended")[0]["reason"] == "superseded"
        before = len(s.upstream.connections[0].received)
        await ask(second)
        await eventually(lambda: s.upstream.open_count == 1)
        assert len(s.upstream.connections[0].received) == before


async def test_two_tabs_at_the_same_moment_leave_one_session(stage: StageMaker, ada: Any) -> None:
    async with stage(SHORT) as s:
        first = await s.page(ada)
        second = await s.page(ada, conversation_id=first.minted["conversation_id"])
        await asyncio.gather(first.connect(), second.connect())
        ends = {asyncio.create_task(page.until_closed()): page for page in (first, second)}
        closed, going = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        assert [task.result() for task in closed] == [4409]
        (winner,) = (ends[task] for task in going)
        await ask(winner)
        await s.switchboard.journal.flush(5)
        mine = RealtimeSession.objects.active().filter(user=ada)
        assert [str(row.pk) async for row in mine] == [winner.minted["session_id"]]


async def test_a_token_offered_fifty_times_at_once_opens_one_connection(stage: StageMaker, ada: Any) -> None:
    async with stage(SHORT) as s:
        minted = await s.mint(ada)
        many = [Page(minted) for _ in range(50)]
        outcomes = await asyncio.gather(*(page.connect() for page in many), return_exceptions=True)
        opened = [page for page, outcome in zip(many, outcomes, strict=True) if outcome is None]
        assert len(opened) == 1
        s.pages += opened
        await opened[0].until("state", state="listening")
        assert s.cable.accepted == 1
        assert await RealtimeSession.objects.filter(user=ada).acount() == 1
        again = Page(minted)
        with pytest.raises(Exception, match="403"):
            await again.connect()


def deactivate(user: User, _page: Page) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def change_password(user: User, _page: Page) -> None:
    user.set_password("another-secret-1815")
    user.save(update_fields=["password"])


def delete_account(user: User, _page: Page) -> None:
    User.objects.filter(pk=user.pk).delete()


def end_row(_user: User, page: Page) -> None:
    """As another process does, or the person on another device."""
    RealtimeSession.objects.filter(pk=page.minted["session_id"]).update(
        ended_at=timezone.now(), end_reason="revoked"
    )


def delete_conversation(_user: User, page: Page) -> None:
    conversations.delete_conversation(
        conversation=Conversation.objects.get(pk=page.minted["conversation_id"])
    )


@taking_turns("revoke", [deactivate, change_password, delete_account, end_row, delete_conversation])
async def test_rights_that_end_in_mid_sentence_end_the_talk_and_the_upstream(
    stage: StageMaker, ada: Any, revoke: Callable[[User, Page], None]
) -> None:
    async with stage(LONG) as s:
        page = await s.talking(ada)
        await page.speak(QUESTION)
        await page.until("audio.begin")
        page.plays = False
        await sync_to_async(revoke)(ada, page)
        assert await page.until_closed() == 4403
        async with asyncio.timeout(2):
            await eventually(lambda: s.upstream.open_count == 0)
        if revoke is delete_account:
            s.pages.remove(page)  # what was saved is gone with the account, as it should be


async def test_a_budget_that_is_used_up_in_mid_sentence_ends_the_talk_and_the_upstream(
    stage: StageMaker, ada: Any
) -> None:
    async with stage(LONG) as s:
        page = await s.talking(ada)
        await page.speak(QUESTION)
        await page.until("audio.begin")
        page.plays = False
        budget = await Budget.objects.acreate(scope="one", user=ada, period="day", minutes=0)
        assert await page.until_closed() == 4429
        assert page.of("error")[-1]["code"] == "limit.budget"
        async with asyncio.timeout(2):
            await eventually(lambda: s.upstream.open_count == 0)
        await budget.adelete()


async def test_what_was_said_before_rights_ended_is_kept(stage: StageMaker, ada: Any) -> None:
    async with stage(LONG) as s:
        page = await s.talking(ada)
        await ask(page)
        await sync_to_async(change_password)(ada, page)
        await page.until_closed()
        await s.switchboard.journal.flush(5)
        kept = Message.objects.filter(conversation_id=page.minted["conversation_id"]).in_order()
        assert [message.text async for message in kept] == [LONG[0]["hears"], LONG[0]["says"]]
