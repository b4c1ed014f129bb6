"""Budgets over all workers, on PostgreSQL: nobody uses more than there is, however many ask at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from tests.services.crowd import Visitor, all_leave
from tests.services.site import Site, manage

WITHIN_S = 60.0
WORKERS = 4
HELD, BUDGET = Decimal("0.05"), Decimal("1.00")
# A process of the site with two calls that answer as often as they are let: each answer is held, made, and charged with
# something below what was held, as the journal does. It ends when both were refused after all of theirs was settled.
ANSWER = """
import django, random, sys; django.setup()
from decimal import Decimal
from threading import Thread
from uuid import uuid4
from django.contrib.auth.models import User
from django.db import connection, transaction
from realtime import holds, leases, services
from realtime.allowance import Verdict
from realtime.effects import RecordUsage
from realtime.journal import Entry
from realtime.models import RealtimeSession

person = User.objects.get(username="person40")
rng = random.Random({seed})
granted = []

def talk(tokens):
    session = RealtimeSession.objects.create(id=uuid4(), user=person, engine="openai", model="dear", modality="text",
                                             lease_until=leases.lease_end())
    for number in range(200):
        if holds.reserve(session.pk, f"answer{{number}}", Decimal("{held}"), 0) is not Verdict.GRANTED:
            break
        granted.append(number)
        used = RecordUsage("response", f"response{{number}}", text_out=tokens(), settles=f"answer{{number}}")
        with transaction.atomic():
            services.write_entries([Entry(session.pk, None, used)])
    connection.close()

threads = [Thread(target=talk, args=[lambda: rng.randrange(10, 31)]) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(granted))
"""
SPENT = """
select coalesce((select sum(u.usd) from realtime_usagerecord u join realtime_realtimesession s on s.id = u.session_id
                 where s.user_id = p.id), 0),
       coalesce((select sum(h.usd) from realtime_hold h join realtime_realtimesession s on s.id = h.session_id
                 where s.user_id = p.id), 0),
       (select sum(s.cost_usd) from realtime_realtimesession s where s.user_id = p.id)
from auth_user p where p.username = 'person40'
"""
# Calls of a person, and the seconds that they took or hold.
PROMISED = """
select count(*), sum(greatest(extract(epoch from coalesce(s.ended_at, now()) - s.started_at),
                              case when s.ended_at is null then (select coalesce(max(h.seconds), 0) from realtime_hold h
                                                                 where h.session_id = s.id) else 0 end))
from realtime_realtimesession s join auth_user u on u.id = s.user_id where u.username = 'person41'
"""


async def test_answers_on_four_workers_spend_a_budget_to_its_end_and_not_beyond(site: Site) -> None:
    prepare = (
        "import django; django.setup()\n"
        "from django.contrib.auth.models import User\n"
        "from django.utils import timezone\n"
        "from realtime.models import Budget, RateCard\n"
        "RateCard.objects.create(model='dear', valid_from=timezone.now(), text_out=1000)\n"
        "person = User.objects.get(username='person40')\n"
        f"Budget.objects.create(scope='one', user=person, period='month', usd='{BUDGET}')\n"
    )
    await asyncio.to_thread(manage, site.environment, "-c", prepare)
    seen = []
    with ThreadPoolExecutor(WORKERS) as threads:
        programs = [ANSWER.format(seed=n, held=HELD) for n in range(WORKERS)]
        running = [threads.submit(manage, site.environment, "-c", program) for program in programs]
        while not all(one.done() for one in running):
            charged, held, _ = (await asyncio.to_thread(site.ask, SPENT))[0]
            seen.append(charged + held)
            await asyncio.sleep(0.02)
    answers = sum(int(one.result()) for one in running)
    charged, held, summed = (await asyncio.to_thread(site.ask, SPENT))[0]
    assert max(seen) <= BUDGET  # at no time was more promised than there is
    assert (
        BUDGET - WORKERS * 2 * HELD < charged <= BUDGET
    )  # a refused one may have been refused for what others held
    assert held == 0
    assert summed == charged  # what the pages are told is what was charged
    assert answers > BUDGET / HELD  # held amounts came back and were used again


async def test_of_many_calls_on_four_workers_no_more_begin_than_a_person_has_minutes_for(site: Site) -> None:
    prepare = (
        "import django; django.setup()\n"
        "from django.contrib.auth.models import User\n"
        "from realtime.models import Budget\n"
        "person = User.objects.get(username='person41')\n"
        "Budget.objects.create(scope='one', user=person, period='month', minutes=3)\n"
    )
    await asyncio.to_thread(manage, site.environment, "-c", prepare)
    pages = [Visitor(site, 41, random.Random(n)) for n in range(8)]
    for page in pages:  # a conversation each, or they would take each other's place
        status, answer = await asyncio.to_thread(site.api, "POST", "/api/conversations/", page.bearer, {})
        assert status == 201
        page.conversation_id = answer["id"]
    visits = [asyncio.create_task(page.visit()) for page in pages]
    try:
        async with asyncio.timeout(WITHIN_S):
            while not all(page.ready.is_set() or page.refusals for page in pages):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        # A call holds its first minute when it begins, and more as it goes on: of three minutes at most three calls.
        calls, seconds = (await asyncio.to_thread(site.ask, PROMISED))[0]
        assert 1 <= calls <= 3
        assert seconds <= 180
        refused = sum((page.refusals for page in pages if not page.ready.is_set()), Counter())
        assert set(refused) <= {"limit.budget", "socket 403"}, refused
    finally:
        await all_leave(pages, visits)
