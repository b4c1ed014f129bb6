"""What holds over all workers: limits for a person, ends asked for elsewhere, a tab that takes over, Redis or not."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.crowd import Visitor, all_leave
from tests.services.site import HOST, Site, Worker, manage

WITHIN_S = 60.0


def visitor(site: Site, number: int) -> Visitor:
    return Visitor(site, number, random.Random(number))


async def connected(visitor: Visitor) -> asyncio.Task[None]:
    """Start its visit and wait until the relay is ready."""
    visit = asyncio.create_task(visitor.visit())
    async with asyncio.timeout(WITHIN_S):
        await visitor.ready.wait()
    return visit


async def closed_with(visitor: Visitor, code: int) -> None:
    """Wait for the close."""
    async with asyncio.timeout(WITHIN_S):
        while not visitor.closes[code]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def worker_of(site: Site, session_id: str) -> Worker:
    """The process that has a session."""
    name = site.ask("select worker from realtime_realtimesession where id = %s", session_id)[0][0]
    pid = int(name.split(":")[1])
    return next(worker for worker in site.workers if worker.process and worker.process.pid == pid)


def ask_worker(worker: Worker, method: str, path: str, bearer: str) -> int:
    """A request to one worker, as nginx makes it."""
    connection = http.client.HTTPConnection(HOST, worker.port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {bearer}", "X-Forwarded-Proto": "https", "X-Forwarded-For": HOST}
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(params=["with Redis", "without Redis"])
def with_and_without_redis(site: Site, request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test twice: Redis makes things quicker, and nothing depends on it."""
    if request.param == "without Redis":
        site.redis.stop()
    yield
    if site.redis.process is None:
        site.redis.start()


@pytest.mark.usefixtures("with_and_without_redis")
async def test_an_end_asked_of_one_worker_reaches_another(site: Site) -> None:
    page = visitor(site, 20)
    visit = await connected(page)
    page.leaving = True  # once closed, it stays away
    assert page.session_id is not None
    there = worker_of(site, page.session_id)
    other = next(worker for worker in site.workers if worker is not there)
    path = f"/api/voice/sessions/{page.session_id}/"
    assert await asyncio.to_thread(ask_worker, other, "DELETE", path, page.bearer) == 204
    await closed_with(page, 1000)
    await visit


@pytest.mark.usefixtures("with_and_without_redis")
async def test_who_is_deactivated_loses_the_calls_on_every_worker(site: Site) -> None:
    pages = [visitor(site, 23) for _ in range(4)]
    visits = []
    for page in pages:  # a conversation each, or they would take each other's place
        status, answer = await asyncio.to_thread(site.api, "POST", "/api/conversations/", page.bearer, {})
        assert status == 201
        page.conversation_id = answer["id"]
        visits.append(await connected(page))
        page.leaving = True
    change = "import django; django.setup(); from django.contrib.auth.models import User; "
    change += "person = User.objects.get(username='person23'); person.is_active = {}; person.save()"
    await asyncio.to_thread(manage, site.environment, "-c", change.format(False))
    try:
        for page in pages:
            await closed_with(page, 4403)
        await asyncio.gather(*visits)
        status, _ = await asyncio.to_thread(
            site.api, "POST", "/api/voice/realtime-session", pages[0].bearer, {}
        )
        assert status in (401, 403)
    finally:
        await asyncio.to_thread(manage, site.environment, "-c", change.format(True))


@pytest.mark.usefixtures("with_and_without_redis")
async def test_a_second_tab_on_another_worker_ends_the_first(site: Site) -> None:
    first = visitor(site, 21)
    visit = await connected(first)
    first.leaving = True
    workers = set()
    # Each tab has a session of its own, so sooner or later one lands on another worker.
    for _ in range(12):
        tab = visitor(site, 21)
        tab.conversation_id = first.conversation_id
        other = await connected(tab)
        assert first.session_id is not None
        assert tab.session_id is not None
        await closed_with(first, 4409)
        await visit
        tab.leaving = True
        workers |= {worker_of(site, first.session_id), worker_of(site, tab.session_id)}
        first, visit = tab, other
        if len(workers) > 1:
            break
    await first.leave()
    await visit
    assert len(workers) > 1
    live = site.ask(
        "select count(*) from realtime_realtimesession where conversation_id = %s and ended_at is null",
        first.conversation_id,
    )
    assert live[0][0] <= 1


@pytest.mark.usefixtures("with_and_without_redis")
async def test_a_person_gets_as_many_sessions_as_allowed_over_all_workers(site: Site) -> None:
    pages = [visitor(site, 22) for _ in range(14)]
    for page in pages:  # a conversation each, or they would take each other's place
        status, answer = await asyncio.to_thread(site.api, "POST", "/api/conversations/", page.bearer, {})
        assert status == 201
        page.conversation_id = answer["id"]
    visits = [asyncio.create_task(page.visit()) for page in pages]
    allowed = 8  # REALTIME_MAX_SESSIONS_PER_USER of this site

    def live() -> int:
        rows = site.ask(
            "select count(*) from realtime_realtimesession s join auth_user u on u.id = s.user_id "
            "where u.username = 'person22' and s.ended_at is null"
        )
        return int(rows[0][0])

    try:
        async with asyncio.timeout(WITHIN_S):
            while sum(page.ready.is_set() for page in pages) < allowed:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            while not all(page.ready.is_set() or page.refusals for page in pages):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await asyncio.to_thread(live) == allowed
        refused = sum((page.refusals for page in pages if not page.ready.is_set()), Counter())
        assert set(refused) <= {"limit.sessions", "socket 403"}, refused
    finally:
        await all_leave(pages, visits)


async def test_pages_name_their_scripts_by_content_and_readiness_survives_redis(site: Site) -> None:
    def get(path: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPSConnection(HOST, site.nginx.port, timeout=30, context=site.nginx.trust)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    _, _, manifest = await asyncio.to_thread(get, "/static/staticfiles.json")
    names = json.loads(manifest)["paths"]
    for name in ("voice/main.js", "voice/worklets/playout.js", "css/tokens.css"):
        status, headers, text = await asyncio.to_thread(get, f"/static/{names[name]}")
        assert status == 200
        assert "immutable" in headers["Cache-Control"]
    _, _, text = await asyncio.to_thread(get, f"/static/{names['voice/speaker.js']}")
    assert names["voice/worklets/playout.js"].rsplit("/", 1)[1] in text

    site.redis.stop()
    try:
        status, _, text = await asyncio.to_thread(get, "/health/ready")
        told: dict[str, Any] = json.loads(text)
        assert (status, told["status"], told["checks"]["channel_layer"]) == (200, "degraded", "failed")
    finally:
        site.redis.start()
