"""Many people on four workers, while one thing after another is taken away: nothing final is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import Any

import pytest

from tests.services.crowd import Crowd
from tests.services.site import Site, Worker, tracebacks

PATIENCE_S = 180.0  # generous: machines of a test are shared
OUTAGE_S, ON_ITS_WAY_S = 20.0, 2.0
MINT = "/api/voice/realtime-session"


@contextlib.contextmanager
def stage(name: str, crowd: Crowd) -> Any:
    """Tell how long it took, what the pages saw, and what it cost the workers that ran from beginning to end."""
    workers = crowd.site.workers
    before, since, used = crowd.connections, time.monotonic(), {w.port: w.cpu_s() for w in workers}
    yield
    cost = sum(w.cpu_s() - used[w.port] for w in workers if w.process and w.cpu_s() >= used[w.port])
    memory = max(w.resident_mib() for w in workers)
    took, came = time.monotonic() - since, crowd.connections - before
    print(f"{name}: {took:.1f} s, {came} new connections, {cost:.1f} s of CPU, {memory} MiB at most")


async def replace(worker: Worker) -> None:
    """As a supervisor does with one worker of several: stop it, start it, wait until it answers."""
    began = time.monotonic()
    await asyncio.to_thread(worker.stop)
    stopped = time.monotonic()
    await asyncio.to_thread(worker.start)
    print(f"  stopped in {stopped - began:.1f} s, started in {time.monotonic() - stopped:.1f} s")


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("size", [40, pytest.param(200, marks=pytest.mark.long)])
async def test_nothing_final_is_lost_whatever_is_taken_away(site: Site, size: int) -> None:
    """All of them type and hear answers; one in ten streams a microphone as well."""
    before = len(requests(site))
    async with Crowd(site, size, speaking=size // 10) as crowd:
        with stage("arrival", crowd):
            await crowd.everybody_has_turns(1, PATIENCE_S)
        shares = Counter(
            row[0] for row in site.ask("select worker from realtime_realtimesession where ended_at is null")
        )
        assert len(shares) == len(site.workers)
        assert min(shares.values()) >= size // 40, shares  # by chance: ids of sessions are random

        # Each worker holds a few connections for a moment, not one for every page.
        assert site.ask("select count(*) from pg_stat_activity where datname = 'voice'")[0][0] < 40

        victim = site.workers[0]
        with stage("a worker is killed", crowd):
            await asyncio.to_thread(victim.kill)
            await crowd.everybody_has_turns(1, PATIENCE_S)
        with stage("and comes back", crowd):
            await asyncio.to_thread(victim.start)
            await crowd.everybody_has_turns(1, PATIENCE_S)

        connections = crowd.connections
        with stage("Redis is restarted", crowd):
            await asyncio.to_thread(site.redis.stop)
            await crowd.everybody_has_turns(1, PATIENCE_S)
            await asyncio.to_thread(site.redis.start)
            await crowd.everybody_has_turns(1, PATIENCE_S)
        with stage(f"PostgreSQL is away for {OUTAGE_S:.0f} s", crowd):
            await asyncio.to_thread(site.postgres.stop)
            await asyncio.sleep(ON_ITS_WAY_S)  # what was stored until then has been told
            saved = sum(len(visitor.saved) for visitor in crowd.visitors)
            turns = sum(visitor.turns for visitor in crowd.visitors)
            # Who comes now is asked to come again.
            status, answer = await asyncio.to_thread(site.api, "POST", MINT, site.bearers[-1], {})
            assert (status, answer["code"]) == (503, "busy.database")
            await asyncio.sleep(OUTAGE_S - ON_ITS_WAY_S)  # the outage itself, not a wait for something
            assert (
                sum(len(visitor.saved) for visitor in crowd.visitors) == saved
            )  # nobody was told what is not true
            assert sum(visitor.turns for visitor in crowd.visitors) > turns  # and they talked on
            await asyncio.to_thread(site.postgres.start)
            waiting = {visitor.number: set(visitor.unsaved) for visitor in crowd.visitors}
            assert any(waiting.values())
            await crowd.until(lambda visitor: not waiting[visitor.number] & set(visitor.unsaved), PATIENCE_S)
        assert crowd.connections == connections  # nobody lost a connection by either

        with stage("a rolling restart", crowd):
            for worker in site.workers:
                await replace(worker)
            await crowd.everybody_has_turns(1, PATIENCE_S)
        assert all(code == 0 for worker in site.workers for code in worker.exit_codes)

        for visitor in crowd.visitors:
            await visitor.leave()
        with stage("the last words are stored", crowd):
            async with asyncio.timeout(PATIENCE_S):
                while await asyncio.to_thread(active, site):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
    check_what_is_kept(site, crowd)
    check_answers(requests(site)[before:])
    assert tracebacks(site.worker_logs) == []


def active(site: Site) -> int:
    """Sessions that have not ended."""
    return int(site.ask("select count(*) from realtime_realtimesession where ended_at is null")[0][0])


def requests(site: Site) -> list[dict[str, str]]:
    """What the proxy wrote down."""
    return [json.loads(line) for line in site.nginx.logs.splitlines() if line.startswith("{")]


def check_answers(lines: list[dict[str, str]]) -> None:
    """Who is turned away is told to come later, and nobody is shown an error of ours."""
    sockets = Counter(line["status"] for line in lines if line["path"].startswith("/ws/"))
    mints = Counter(line["status"] for line in lines if not line["path"].startswith("/ws/"))
    print(f"statuses of sockets: {dict(sockets)}, of mints: {dict(mints)}")
    # 502 is the proxy's own, for a request that was on its way to a worker when that was killed.
    assert set(sockets) <= {"101", "403", "502"}
    assert set(mints) <= {"200", "502", "503"}
    assert sockets["502"] + mints["502"] <= 10


def check_what_is_kept(site: Site, crowd: Crowd) -> None:
    """Compare what the visitors were told with the database, read past Django."""
    rows = site.ask(
        "select id::text, session_id::text, item_id, role, status, text, client_id from conversations_message "
        "where conversation_id::text = any(%s)",
        [visitor.conversation_id for visitor in crowd.visitors],
    )
    kept = {row[0]: row for row in rows}
    told = {message_id for visitor in crowd.visitors for message_id in visitor.saved}
    assert told <= set(kept), f"{len(told - set(kept))} messages were called saved and are not there"

    assert not [row for row in rows if row[4] == "pending"]
    typed = Counter(row[6] for row in rows if row[6])
    asked = [client_id for visitor in crowd.visitors for client_id in visitor.asked]
    answered = [client_id for visitor in crowd.visitors for client_id in visitor.answered]
    assert not [client_id for client_id in typed if typed[client_id] > 1], "a typed message is there twice"
    assert set(typed) <= set(asked)
    assert set(answered) <= set(typed), "a question that was answered is not there"

    texts = {(row[1], row[2]): row[5] for row in rows}
    crashed = {
        row[0] for row in site.ask("select id::text from realtime_realtimesession where end_reason = 'lost'")
    }
    for visitor in crowd.visitors:
        acknowledged = set(visitor.saved.values())
        for (session_id, item_id), text in visitor.finals.items():
            # kill -9 may cost what was not yet called saved; nothing else may.
            if session_id not in crashed or item_id in acknowledged:
                assert texts.get((session_id, item_id)) == text

    reasons = Counter(row[0] for row in site.ask("select end_reason from realtime_realtimesession"))
    assert reasons["lost"] >= 1
    assert reasons["draining"] >= 1

    answers = {(row[1], row[2]) for row in rows if row[3] == "assistant" and row[4] == "completed"}
    used = site.ask("select session_id::text, count(*), count(distinct reference) from realtime_usagerecord "
                    "where meter = 'response' group by 1")  # fmt: skip
    usage = {session_id: count for session_id, count, _ in used}
    assert all(count == references for _, count, references in used)
    per_session = Counter(session_id for session_id, _ in answers)
    short = {key: (n, usage.get(key, 0)) for key, n in per_session.items() if usage.get(key, 0) < n}
    assert not short, f"answers without usage: {short}"
    print(f"what pages met: {dict(crowd.refusals)}")
    print(
        f"{len(rows)} messages, {len(told)} told as saved, {sum(usage.values())} answers counted, {dict(reasons)}"
    )
