"""The ledger against the upstream's own count: many answers through both doors, the journal and the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import timezone

from realtime import ledger
from realtime.effects import RecordUsage
from realtime.models import RateCard, RealtimeSession, UsageRecord
from tests.realtime.conftest import Site
from tests.realtime.page import Page

EACH = 20  # answers of one session: as many as may be asked for in a burst
SCRIPT = [{"says": " ".join(["word"] * count)} for count in (1, 7, 19, 3)]


def counted_by(upstream: Any) -> Counter[str]:
    """What the upstream told of each answer, summed."""
    sums: Counter[str] = Counter()
    for connection in upstream.connections:
        for event in connection.sent:
            if event["type"] == "response.done":
                usage = event["response"]["usage"]
                sums["answers"] += 1
                sums["text_in"] += usage["input_token_details"]["text_tokens"]
                sums["cached_text"] += usage["input_token_details"]["cached_tokens_details"]["text_tokens"]
                sums["text_out"] += usage["output_token_details"]["text_tokens"]
    return sums


async def talk(page: Page, answers: int) -> None:
    async with page:
        await page.until("state", state="listening")
        for number in range(answers):
            await page.say("input.text", text=f"message {number}", client_id=str(number))
            await page.until("response.done", status="completed")
        await page.say("session.end")
        await page.until_closed()


@pytest.mark.parametrize(
    "sessions", [3, pytest.param(50, marks=pytest.mark.long)], ids=["60 answers", "1,000 answers"]
)
async def test_its_sum_is_what_the_upstream_counted(
    make_site: Callable[..., Any], settings: Any, sessions: int
) -> None:
    settings.REALTIME_MAX_RESPONSES_PER_MIN = 1_000
    settings.REALTIME_MAX_TEXT_SESSIONS_PER_USER = 1_000  # the ends of those before may not be stored yet
    site: Site = await make_site(SCRIPT)
    user = await sync_to_async(User.objects.create_user)("ada")
    for at in range(0, sessions, 5):
        pages = [await site.page(user, modality="text") for _ in range(min(5, sessions - at))]
        await asyncio.gather(*(talk(page, EACH) for page in pages))
    assert await site.switchboard.journal.flush(30)

    counted = counted_by(site.upstream)
    assert counted["answers"] == sessions * EACH
    rows = UsageRecord.objects.filter(meter="response")
    names = ("text_in", "cached_text", "text_out")
    kept = await rows.aaggregate(**{f"sum_{name}": Sum(name) for name in names})
    assert await rows.acount() == counted["answers"]
    assert {name: kept[f"sum_{name}"] for name in names} == {name: counted[name] for name in names}


async def test_a_minute_of_a_session_is_a_row_of_its_own(make_site: Callable[..., Any]) -> None:
    site: Site = await make_site(SCRIPT)
    user = await sync_to_async(User.objects.create_user)("ada")
    await talk(await site.page(user, modality="text"), 1)
    assert await site.switchboard.journal.flush(30)
    row = await UsageRecord.objects.aget(meter="session_time")
    assert row.reference == "minute_1"
    assert 0 < row.seconds < 60


def test_money_is_summed_from_rows_and_from_sessions_alike(db: None) -> None:
    RateCard.objects.create(model="m", valid_from=timezone.now(), text_out=Decimal(24))
    user = User.objects.create_user("ada")
    for number in range(2):
        session = RealtimeSession.objects.create(
            id=f"00000000-0000-4000-8000-00000000000{number}", user=user, engine="openai", model="m"
        )
        for answer in range(3):
            used = RecordUsage("response", f"r{answer}", text_out=1_000 + answer, model="m")
            ledger.charge([(session, used)])
    by_user = ledger.totals(UsageRecord.objects.all(), "user")
    by_session = RealtimeSession.objects.aggregate(sum=Sum("cost_usd"))["sum"]
    assert [row["total_usd"] for row in by_user] == [by_session] == [Decimal("0.14414400")]
