"""More is to be held than fits: F26. Each session has a bound, sessions have a number, and everything is given back."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

from asgiref.sync import sync_to_async
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from realtime.conf import RelayConfig
from realtime.intake import MAX_GAP_MS
from realtime.relay import MAX_OUTBOX_BYTES, MAX_UPLINK_AUDIO_BYTES, Relay
from tests.faults.conftest import StageMaker
from tests.faults.stage import QUESTION, Stage
from tests.realtime.page import Page, eventually, silence

DEFAULTS = RelayConfig("ws://localhost", "m", "v", "i")
BOOK = [{"hears": "Read me a book.", "says": "Chapter one of many.", "audio_ms": 60_000}]
CAP_BYTES = 1_000_000
CAPTURED_MS, PENDING_MS = 11_000, 2_000  # while there is no way to the upstream: spoken, and held of it
SESSIONS = 3
TEXTS_BYTES = 1024 * 1024  # transcripts, marks, names of events
SPARE_BYTES = 150_000
CONTAINERS = (dict, list, tuple, set, frozenset, deque, OrderedDict)


def bound_bytes(config: RelayConfig) -> int:
    """The most that one session may hold: the sum of the bounds of its buffers."""
    microphone_ms = MAX_GAP_MS + 2 * config.uplink_pending_ms  # of a resume; held; sent and not an item yet
    return (
        config.downlink_cap_bytes
        + MAX_OUTBOX_BYTES
        + MAX_UPLINK_AUDIO_BYTES
        + microphone_ms * 48
        + TEXTS_BYTES
    )


def held_bytes(relay: Relay) -> int:
    """All bytes and texts of a session and its queues, whatever buffer they are in."""
    roots = [relay.session, relay.uplink, relay.link.outbox if relay.link else None]
    return sum(len(found) for found in below(roots))


def below(roots: list[Any]) -> Iterator[bytes | bytearray | str]:
    """Each of them once that containers and objects of the relay's own classes lead to."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        kind = type(found)
        if kind in (bytes, bytearray, str):
            yield found
        elif kind in CONTAINERS or kind.__module__.startswith("realtime."):
            waiting += gc.get_referents(found)


def mint_status(user: Any) -> tuple[int, str]:
    """What a person is told who wants to begin a call now: the status and the code."""
    program = APIClient()
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    answer = program.post("/api/voice/realtime-session", {}, format="json")
    return answer.status_code, answer.json().get("code", "")


def test_a_session_holds_at_most_sixteen_mebibytes() -> None:
    assert bound_bytes(DEFAULTS) <= 16 * 1024 * 1024


async def test_what_sessions_hold_has_a_bound_and_a_full_site_refuses_the_next(
    stage: StageMaker, ada: Any, bob: Any, settings: Any
) -> None:
    settings.REALTIME_MAX_SESSIONS_PER_USER = SESSIONS
    settings.REALTIME_MAX_SESSIONS = SESSIONS  # calls; the bystander types
    numbers = {"downlink_cap_bytes": CAP_BYTES, "uplink_pending_ms": PENDING_MS, "stall_ms": 90_000}
    async with stage(BOOK, timers=numbers) as s:
        pages = [await s.talking(ada) for _ in range(SESSIONS)]
        assert await sync_to_async(mint_status)(bob) == (503, "busy.global")
        for page in pages:
            await speech_stays_within_its_bound(s, page)
        s.cable.stall()  # the upstream's address still takes connections, and nothing comes of them
        s.cable.reset_peers()
        for page in pages:
            await the_microphone_stays_within_its_bound(s, page)
        await s.checker.canary_answers()
        assert await sync_to_async(mint_status)(bob) == (503, "busy.global")

        gone = [weakref.ref(s.relay_of(page)) for page in pages]
        for page in pages:
            await page.say("session.end")
            assert await page.until_closed() == 1000
        s.cable.heal()
        await eventually(lambda: gc.collect() >= 0 and not any(relay() for relay in gone))
        await s.switchboard.journal.flush(5)
        assert (await sync_to_async(mint_status)(bob))[0] == 200


async def speech_stays_within_its_bound(s: Stage, page: Page) -> None:
    """The upstream makes a minute of speech at once for a page that plays none."""
    relay = s.relay_of(page)
    page.plays = False
    most = 0
    await page.speak(QUESTION)
    while not page.of("warning"):
        await page.next()
        most = max(most, held_bytes(relay))
    assert most >= CAP_BYTES / 2, "little had to be held: the bound was not tried"
    assert most <= CAP_BYTES + DEFAULTS.ahead_ms * 48 + SPARE_BYTES


async def the_microphone_stays_within_its_bound(s: Stage, page: Page) -> None:
    """The person speaks on while there is no upstream to take it."""
    relay = s.relay_of(page)
    intake = relay.session.intake
    await page.until("state", state="reconnecting")
    before, goal = held_bytes(relay), intake.total_samples + CAPTURED_MS * 24
    await page.speak(silence(CAPTURED_MS))
    await eventually(lambda: intake.total_samples >= goal)
    grown = held_bytes(relay) - before
    assert grown >= PENDING_MS * 48 / 4, "little had to be held: the bound was not tried"
    assert grown <= PENDING_MS * 48 + SPARE_BYTES
