"""What several processes of one site owe each other: one tab, one count, one reaper, an owner for each session."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers, get_channel_layer
from django.db import connection, connections, transaction
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from conversations import services as conversations
from realtime import access, admission, leases, neighbours, ownership, services
from realtime.effects import RecordEnd
from realtime.exceptions import Refused
from realtime.journal import Entry
from realtime.models import RealtimeSession, SiteLock
from tests.realtime.page import Page, eventually

ELSEWHERE = "elsewhere:7:0"
LONG = [{"hears": "Tell me a story.", "says": "Once upon a time there was a relay.", "audio_ms": 600}]


def open_elsewhere(user: Any, conversation_id: UUID | None = None) -> admission.Opening:
    """A session that another process has."""
    minted = admission.mint(user=user, origin="", conversation_id=conversation_id)
    return admission.redeem(token_text=minted.token, origin="", worker=ELSEWHERE)


def new_conversation(user: Any) -> UUID:
    return conversations.create_conversation(owner=user).pk


# ---- one tab ----------------------------------------------------------------------------------------------


async def test_a_new_tab_ends_the_session_that_another_process_has(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    opening = await sync_to_async(open_elsewhere)(ada)
    async with await site.page(ada, conversation_id=str(opening.conversation_id)) as page:
        await page.until("ready")
        row = await RealtimeSession.objects.aget(pk=opening.session_id)
        assert row.end_reason == "superseded"
        # That process sees it when it renews its leases.
        ends = await sync_to_async(leases.renew_leases)([opening.session_id])
        assert ends == {opening.session_id: "superseded"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("elsewhere", "own", "stored"),
    [
        ("superseded", "draining", "draining"),  # its page was sent away, and back before this was stored
        ("superseded", "superseded", "superseded"),
        ("lost", "idle", "idle"),
        ("revoked", "draining", "revoked"),
        ("operator", "person_ended", "operator"),
    ],
)
def test_why_a_session_ended_its_own_process_knows_better_than_one_that_guessed(
    ada: Any, elsewhere: str, own: str, stored: str
) -> None:
    opening = open_elsewhere(ada)
    services.close_session(session_id=opening.session_id, reason=elsewhere, counters={})
    ended_at = RealtimeSession.objects.get(pk=opening.session_id).ended_at
    services.write_entries([Entry(opening.session_id, opening.conversation_id, RecordEnd(own, {"turns": 2}))])
    row = RealtimeSession.objects.get(pk=opening.session_id)
    assert (row.end_reason, row.turns, row.ended_at) == (stored, 2, ended_at)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("elsewhere", "stored"),
    [("superseded", "draining"), ("lost", "draining"), ("revoked", "revoked"), ("operator", "operator")],
)
def test_a_session_that_could_not_begin_before_a_restart_says_so_although_its_page_is_elsewhere(
    ada: Any, elsewhere: str, stored: str
) -> None:
    opening = open_elsewhere(ada)
    services.close_session(session_id=opening.session_id, reason=elsewhere, counters={})
    services.close_unbegun(session_id=opening.session_id, reason="draining")
    assert RealtimeSession.objects.get(pk=opening.session_id).end_reason == stored


# ---- whose page comes here ---------------------------------------------------------------------------------


async def test_a_page_whose_process_is_gone_goes_on_in_the_same_conversation(
    make_site: Any, ada: Any
) -> None:
    site = await make_site(LONG)
    opening = await sync_to_async(open_elsewhere)(ada)
    await sync_to_async(conversations.record_message)(
        conversation_id=opening.conversation_id,
        session_id=opening.session_id,
        item_id="item_1",
        position=opening.config.first_position + 1,
        role="assistant",
        modality="voice",
        status="completed",
        text="The word is barnacle.",
    )
    page = await site.page(ada, resume_session_id=str(opening.session_id))
    assert page.minted["resumed"] is True
    await page.connect()
    assert await page.until_closed() == 4503
    assert page.of("error")[0]["code"] == "session.gone"
    assert page.of("error")[0]["retryable"] is True
    assert (await RealtimeSession.objects.aget(pk=opening.session_id)).end_reason == "lost"

    async with await site.page(ada, resume_session_id=str(opening.session_id)) as again:
        assert again.minted["resumed"] is False
        assert again.minted["conversation_id"] == str(opening.conversation_id)
        await again.until("state", state="listening")
        told = [event for event in site.upstream.connections[0].received if "item" in event]
        assert [event["item"]["content"][0]["text"] for event in told] == ["The word is barnacle."]


@pytest.mark.django_db
def test_no_process_gives_up_a_session_of_its_own(ada: Any) -> None:
    opening = open_elsewhere(ada)
    assert ownership.give_up_elsewhere(session_id=opening.session_id, worker=ELSEWHERE) is False
    assert RealtimeSession.objects.get(pk=opening.session_id).ended_at is None
    assert ownership.give_up_elsewhere(session_id=opening.session_id, worker="another:8:0") is True
    assert RealtimeSession.objects.get(pk=opening.session_id).end_reason == "lost"


async def test_a_session_that_ended_here_keeps_its_own_reason(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    async with await site.page(ada) as page:
        await page.until("ready")
        resume = await site.mint(ada, resume_session_id=page.minted["session_id"])
        await page.say("session.end")
        await page.until_closed()
        late = Page(resume)
        with contextlib.suppress(InvalidStatus):
            await late.connect()
            await late.until_closed()
    await site.switchboard.journal.flush(5)
    assert (await RealtimeSession.objects.aget(pk=page.minted["session_id"])).end_reason == "person_ended"


async def test_the_address_of_another_session_opens_nothing(make_site: Any, ada: Any) -> None:
    site = await make_site(LONG)
    page = await site.page(ada)
    good = page.minted["url"]
    page.minted["url"] = f"{good}{uuid4()}/"
    with pytest.raises(InvalidStatus):
        await page.connect()
    page.minted["url"] = f"{good}{page.minted['session_id']}/"  # the token is not spent by that
    async with page:
        await page.until("ready")


# ---- one count ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_many_tokens_that_are_spent_at_once_no_more_open_than_a_person_may_have(
    ada: Any, settings: Any
) -> None:
    settings.REALTIME_MAX_SESSIONS_PER_USER = 3
    minted = [admission.mint(user=ada, origin="", conversation_id=new_conversation(ada)) for _ in range(12)]

    def spend(number: int) -> str:
        try:
            admission.redeem(token_text=minted[number].token, origin="", worker=f"worker:{number % 4}")
        except Refused as refused:
            return refused.code
        finally:
            connections.close_all()
        return "open"

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(spend, range(12)))
    assert sorted(results) == ["limit.sessions"] * 9 + ["open"] * 3
    assert RealtimeSession.objects.active().count() == 3


# ---- one reaper ---------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_several_reapers_one_works_and_the_others_do_not_wait(ada: Any) -> None:
    if not connection.features.has_select_for_update_skip_locked:
        # Without row locks there is no second reaper to step aside; PostgreSQL runs this.
        pytest.skip("on SQLite the transaction itself lets one in at a time")
    opening = open_elsewhere(ada)
    RealtimeSession.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    SiteLock.objects.get_or_create(pk=ownership.REAPING)  # as the migration does

    def reap() -> int:
        try:
            return leases.reap_lost_sessions()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            assert ownership.try_to_hold(ownership.REAPING)
            assert threads.submit(reap).result(30) == 0
        assert threads.submit(reap).result(30) == 1
    assert RealtimeSession.objects.get(pk=opening.session_id).end_reason == "lost"


# ---- a quicker word ------------------------------------------------------------------------------------------


async def test_an_end_that_another_process_stored_is_seen_when_it_says_so(
    make_site: Any, ada: Any, settings: Any
) -> None:
    settings.REALTIME_RENEW_EVERY_SEC = 1_000
    site = await make_site(LONG)
    async with await site.page(ada) as page:
        await page.until("ready")
        await eventually(lambda: get_channel_layer().groups.get(neighbours.GROUP))
        # The look at rights that were lost during the handshake would see it, too.
        await eventually(
            lambda: not [t for t in asyncio.all_tasks() if t.get_name().startswith("first look")]
        )
        mine = RealtimeSession.objects.filter(pk=page.minted["session_id"])
        await sync_to_async(access.end_sessions)(mine, "person_ended")
        await neighbours.tell("another process")
        assert await page.until_closed() == 1000


async def test_a_process_does_not_listen_to_itself() -> None:
    looks: list[str] = []
    listening = [
        asyncio.create_task(neighbours.listen(name, lambda name=name: looks.append(name))) for name in "ab"
    ]
    try:
        await eventually(lambda: len(get_channel_layer().groups.get(neighbours.GROUP, ())) == 2)
        await neighbours.tell("a")
        await eventually(lambda: looks)
        await neighbours.tell("b")
        await eventually(lambda: len(looks) == 2)
        assert looks == ["b", "a"]
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


class Flaky:
    """A layer whose Redis is away at first."""

    refusals = 2

    def __init__(self, **options: Any) -> None:
        self.asked = 0

    async def new_channel(self, prefix: str) -> str:
        self.asked += 1
        if self.asked <= self.refusals:
            raise ConnectionError("away")
        return f"{prefix}!x"

    async def group_add(self, group: str, channel: str) -> None:
        """Joined."""

    async def group_discard(self, group: str, channel: str) -> None:
        raise ConnectionError("away")

    async def receive(self, channel: str) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        raise ConnectionError("away")


async def test_who_could_not_hear_looks_as_soon_as_it_can_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.Flaky"}}
    channel_layers.backends.clear()
    monkeypatch.setattr(neighbours, "RETRY_S", 0)
    looks: list[str] = []
    listening = asyncio.create_task(neighbours.listen("a", lambda: looks.append("look")))
    try:
        await eventually(lambda: looks)
        await neighbours.tell("a")  # nothing is raised
        assert looks == ["look"]
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "the channel layer is not to be had",
            "other processes were not told, and look within seconds",
        ]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        channel_layers.backends.clear()
