"""Ways to run up a bill, tried against a paid upstream: what it would charge stays within a budget and one answer.

The upstream is the scripted one; it counts every response itself. The site takes it for a paid service with prices
of its own, so that the account of the site can be compared with that of the upstream.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db.models import Sum
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime import allowance
from realtime.models import Budget, Hold, RateCard, RealtimeSession, UsageRecord
from realtime.upstream import open_upstream
from tests.realtime.page import Page, eventually, silence, tone

# An answer makes at most MAX_TOKENS of output: a dollar's thousandth each, so 20 cents an answer and nothing else.
MAX_TOKENS, ANSWER_USD, BUDGET_USD = 200, Decimal("0.2"), Decimal(1)
ONE_ANSWER_MORE = BUDGET_USD + ANSWER_USD
LONG = {"says": "word " * 160, "audio_ms": 0}  # as long as it may be, written
SPOKEN = {"hears": "Go on.", "says": "word " * 80, "audio_ms": 5_000}  # the same, spoken


@pytest.fixture
async def paid(
    make_site: Any, settings: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """`await paid(script)`: a site whose upstream charges, and a dollar a day for each person."""
    monkeypatch.setattr(
        allowance, "ASK_AGAIN_MS", 50
    )  # the second between two tries would be waited for 20 times
    settings.REALTIME_MAX_OUTPUT_TOKENS = MAX_TOKENS
    settings.REALTIME_MAX_SESSIONS_PER_USER = 100
    settings.REALTIME_MAX_RESPONSES_PER_MIN = 1_000
    settings.OPENAI_API_KEY = "sk-test"
    nothing = Decimal(0)
    prices = dict.fromkeys(("text_in", "text_cached", "audio_in", "audio_cached"), nothing)
    for model in (settings.REALTIME_MODEL, settings.REALTIME_TRANSCRIPTION_MODEL):
        await RateCard.objects.acreate(
            engine="other", model=model, valid_from=datetime(2026, 1, 1, tzinfo=UTC), **prices,
            text_out=Decimal(1_000), audio_out=Decimal(1_000),
        )  # fmt: skip
    await Budget.objects.acreate(scope="each", period="day", usd=BUDGET_USD)

    async def make(script: list[dict[str, Any]], **config: Any) -> Any:
        site = await make_site(script, **config)
        settings.REALTIME_BASE_URL = "wss://paid.example/v1/realtime"
        site.switchboard.dial = lambda config: open_upstream(
            dataclasses.replace(config, upstream_url=site.upstream.url)
        )
        return site

    return make


def charged(site: Any) -> Decimal:
    """What the upstream would charge, by its own account: all output of all answers, cut off or not."""
    total = 0
    for connection in site.upstream.connections:
        unfinished: dict[str, int] = {}
        for event in connection.sent:
            if event["type"] == "response.output_text.delta":
                unfinished[event["response_id"]] = unfinished.get(event["response_id"], 0) + len(
                    event["delta"]
                )
            elif event["type"] == "response.done":
                total += event["response"]["usage"]["output_tokens"]
                unfinished.pop(event["response"]["id"], None)
        total += sum(unfinished.values()) // 4
    return Decimal(total) / 1_000


async def booked() -> Decimal:
    """What the site has booked."""
    found = await UsageRecord.objects.aaggregate(sum=Sum("usd"))
    return found["sum"] or Decimal(0)


async def all_over(site: Any) -> None:
    """Every session has ended, the upstream is left alone, and nothing is held any more."""
    await eventually(lambda: not site.switchboard.relays)
    assert await site.switchboard.journal.flush(10)
    assert not await RealtimeSession.objects.filter(ended_at=None).aexists()
    assert not await Hold.objects.aexists()
    assert charged(site) <= ONE_ANSWER_MORE
    assert await booked() >= charged(site) - ANSWER_USD  # what was cut off is booked by our own count
    await eventually(lambda: all(not connection.open for connection in site.upstream.connections))


async def open_page(site: Any, user: User, **fields: Any) -> Page | None:
    """A page with a call, or None when it is refused."""
    answer = await sync_to_async(mint)(user, {"modality": "text", **fields})
    if answer.status_code == 429:
        return None
    assert answer.status_code == 200
    page = Page({**answer.json(), "url": f"ws://127.0.0.1:{site.port}/ws/realtime/"})
    try:
        await page.connect()
    except InvalidStatus:
        return None
    return page


def mint(user: User, fields: dict[str, Any]) -> Any:
    from rest_framework.test import APIClient
    from rest_framework_simplejwt.tokens import AccessToken

    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client.post("/api/voice/realtime-session", fields, format="json")


async def flood(page: Page, label: str, count: int = 40, size: int = 10) -> None:
    """Type on and on, whatever comes back, until the call is closed."""
    with contextlib.suppress(ConnectionClosed):
        await page.until("state", state="listening")
        for number in range(count):
            await page.say("input.text", text="x" * size, client_id=f"{label}{number}")
            await page.until("response.done")
        await page.say("session.end")
    await page.until_closed()


async def test_questions_without_end(paid: Any, ada: User) -> None:
    site = await paid([LONG])
    page = await open_page(site, ada)
    assert page is not None
    await flood(page, "q")
    assert page.close_code == 4429
    assert page.of("error")[-1]["code"] == "limit.budget"
    await all_over(site)
    assert charged(site) >= BUDGET_USD - 2 * ANSWER_USD  # it could use what it has
    assert (await sync_to_async(mint)(ada, {"modality": "text"})).status_code == 429


async def test_long_texts_without_end(paid: Any, ada: User) -> None:
    site = await paid([LONG])
    page = await open_page(site, ada)
    assert page is not None
    await flood(page, "t", size=3_900)
    await all_over(site)


async def test_twenty_calls_at_once(paid: Any, ada: User) -> None:
    site = await paid([LONG])
    pages = [page for page in await asyncio.gather(*(open_page(site, ada) for _ in range(20))) if page]
    assert 1 <= len(pages) <= 5
    await asyncio.gather(*(flood(page, f"p{number}") for number, page in enumerate(pages)))
    await all_over(site)


async def test_a_call_that_is_ended_and_begun_again_before_the_answer_is_counted(
    paid: Any, ada: User
) -> None:
    """The upstream never tells what a cut answer has used: it must count all the same."""
    site = await paid([LONG], pace=4.0)
    begun = 0
    for number in range(40):
        page = await open_page(site, ada)
        if page is None:
            break
        begun += 1
        with contextlib.suppress(ConnectionClosed):
            await page.until("state", state="listening")
            await page.say("input.text", text="x", client_id=f"r{number}")
            await page.until("transcript.delta", role="assistant")
            await page.say("session.end")
        await page.until_closed()
        await eventually(lambda: not site.switchboard.relays)
        assert await site.switchboard.journal.flush(10)
    assert await booked() > 0
    assert begun < 40 or await booked() <= BUDGET_USD
    await all_over(site)


async def test_tokens_that_are_hoarded_and_spent_at_once(paid: Any, ada: User) -> None:
    site = await paid([LONG])
    minted = [await sync_to_async(mint)(ada, {"modality": "text"}) for _ in range(30)]
    assert {answer.status_code for answer in minted} == {200}

    async def spend(answer: Any) -> Page | None:
        page = Page({**answer.json(), "url": f"ws://127.0.0.1:{site.port}/ws/realtime/"})
        try:
            await page.connect()
        except InvalidStatus:
            return None
        return page

    pages = [page for page in await asyncio.gather(*map(spend, minted)) if page]
    assert 1 <= len(pages) <= 5
    await asyncio.gather(*(flood(page, f"h{number}") for number, page in enumerate(pages)))
    await all_over(site)


async def test_tools_that_call_tools_for_ever(paid: Any, ada: User) -> None:
    call = {"name": "current_time", "arguments": {}}
    site = await paid([{"says": "", "tool": call, "then": LONG["says"], "audio_ms": 0}])
    page = await open_page(site, ada)
    assert page is not None
    await flood(page, "o", count=30)
    await all_over(site)


async def test_silence_for_hours(paid: Any, ada: User, settings: Any) -> None:
    """Silence makes no answers; its minutes are what is used up."""
    await Budget.objects.acreate(scope="one", user=ada, period="month", minutes=1)
    settings.REALTIME_RENEW_EVERY_SEC = 0.1
    site = await paid([LONG])
    page = await open_page(site, ada, modality="voice")
    assert page is not None
    await page.until("state", state="listening")
    for _ in range(20):
        await page.speak(silence(1_000))
    assert charged(site) == 0
    [session] = [session async for session in RealtimeSession.objects.all()]
    hold = await Hold.objects.aget(session=session, reference="stretch")
    assert hold.seconds == 60
    assert await open_page(site, ada, modality="voice") is None  # all of the minute is this call's
    await Budget.objects.filter(minutes=1).aupdate(minutes=0)
    assert await page.until_closed() == 4429
    await all_over(site)


async def test_a_page_that_is_gone_in_the_middle(paid: Any, ada: User, settings: Any) -> None:
    settings.REALTIME_RESUME_GRACE_SEC = 0
    site = await paid([LONG], pace=4.0)
    for number in range(12):
        page = await open_page(site, ada)
        if page is None:
            break
        await page.until("state", state="listening")
        await page.say("input.text", text="x", client_id=f"g{number}")
        await page.until("transcript.delta", role="assistant")
        await page.cut()
    await all_over(site)


async def test_speech_that_the_upstream_answers_by_itself(paid: Any, ada: User) -> None:
    site = await paid([SPOKEN])
    page = await open_page(site, ada, modality="voice")
    assert page is not None
    with contextlib.suppress(ConnectionClosed):
        await page.until("state", state="listening")
        for _ in range(15):
            await page.speak(tone(400) + silence(900))
            await page.until("response.done")
    assert await page.until_closed() == 4429
    await all_over(site)
