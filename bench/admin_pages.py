"""How long the admin's pages take with many sessions stored: fills a SQLite database and asks for each page.

    python bench/admin_pages.py                        100,000 sessions, 5 million events, in a temporary folder
    python bench/admin_pages.py --sessions 2500 --events 50000    2,000 sessions at least, for page 40
    python bench/admin_pages.py --keep /tmp/filled     use this folder, and its database again when there is one

Prints a line per page: how many questions it asks the database, and the median and worst of its times in ms. Then the
first looks at a month that was never summed up, and the steps in which a running site sums it up by itself.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEOPLE = 200
DAYS = 30
TURNS, USAGE = 6, 7  # of each session
LIST = "/admin/realtime/realtimesession/"
DASHBOARD = f"{LIST}dashboard/"
TOTALS = "/admin/realtime/usagerecord/totals/"


def statements(sessions: int, events: int, more: list[str]) -> dict[str, str]:
    """SQL that makes rows of a month, evenly spread. `more`: columns of the session that only need to be empty."""
    names, values = ", ".join(["cost_complete", *more]), ", ".join(["dice % 400 <> 0", *("''" for _ in more)])
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {})"
    return {
        "sessions": f"""
            {numbers.format(sessions)},
            r AS (SELECT julianday('now') - {DAYS}.0 * i / {sessions} AS at, abs(random()) AS dice FROM n)
            INSERT INTO realtime_realtimesession (id, user_id, modality, engine, model, voice, started_at, ended_at,
                end_reason, worker, auth_hash, login_key, turns, interruptions, reconnects_browser, reconnects_upstream,
                audio_in_ms, audio_out_ms, dropped_ms, user_agent, errors, slowest_ms, cost_usd, {names})
            SELECT lower(hex(randomblob(16))), (SELECT min(id) FROM auth_user) + dice % {PEOPLE}, 'voice', 'openai',
                CASE dice % 5 WHEN 0 THEN 'gpt-realtime-mini' ELSE 'gpt-realtime-2.1' END, 'marin',
                strftime('%Y-%m-%d %H:%M:%f', at), strftime('%Y-%m-%d %H:%M:%f', at + (30 + dice % 600) / 86400.0),
                CASE WHEN dice % 50 = 0 THEN 'upstream_lost' WHEN dice % 7 = 0 THEN 'idle' ELSE 'person_ended' END,
                'w:1', '', '', {TURNS}, dice % 4, 0, 0, 60000, 60000, 0, 'Mozilla/5.0', dice % 50 = 0,
                300 + dice % 2500, (dice % 9000) / 10000.0, {values} FROM r""",  # noqa: S608 - numbers of our own
        "turns": f"""
            {numbers.format(TURNS)}
            INSERT INTO realtime_turn (session_id, response_id, item_id, status, created_at, input_ended_ms,
                response_created_ms, silence_ms, endpointing_ms, first_delta_ms, playout_start_ms, response_latency_ms,
                heard_ms, generated_ms)
            SELECT id, 'r' || i, 'i' || i, 'completed', started_at, i * 9000, i * 9000 + 50, 500, 50,
                200 + abs(random()) % 900, 80, 830 + abs(random()) % 900, 3000, 3000
            FROM realtime_realtimesession CROSS JOIN n""",  # noqa: S608
        "usage": f"""
            {numbers.format(USAGE)}
            INSERT INTO realtime_usagerecord (session_id, meter, reference, created_at, text_in, audio_in, cached_text,
                cached_audio, text_out, audio_out, seconds, image_in, cached_image, reasoning_out, model, usd,
                estimated)
            SELECT id, CASE i WHEN 0 THEN 'session_time' ELSE 'response' END, 'r' || i, started_at, 900, 400, 600, 200,
                40, 300, CASE i WHEN 0 THEN 60 ELSE 0 END, 0, 0, 0, model, 0.0123, 0
            FROM realtime_realtimesession CROSS JOIN n""",  # noqa: S608
        "events": f"""
            {numbers.format(max(1, events // sessions))}
            INSERT INTO realtime_sessionevent (session_id, at_ms, name, data)
            SELECT id, i * 1000, CASE WHEN i = 0 AND errors > 0 THEN 'upstream.error'
                WHEN i % 4 = 0 THEN 'speech.started' WHEN i % 4 = 1 THEN 'speech.stopped'
                WHEN i % 4 = 2 THEN 'response.started' ELSE 'response.done' END,
                CASE WHEN i = 0 AND errors > 0 THEN '{{"code": "server_error"}}' ELSE '{{}}' END
            FROM realtime_realtimesession CROSS JOIN n""",  # noqa: S608
    }


def fill(sessions: int, events: int) -> None:
    """Rows of a month, evenly spread."""
    from django.contrib.auth.models import User
    from django.db import connection

    User.objects.bulk_create(User(username=f"person{n}") for n in range(PEOPLE))
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA table_info(realtime_realtimesession)")
        columns = [(row[1], bool(row[3])) for row in cursor.fetchall()]
        # Whole names: one may be a part of another.
        known = set(re.findall(r"\w+", statements(1, 1, [])["sessions"]))
        more = [name for name, must in columns if must and name not in known]
        for name, statement in statements(sessions, events, more).items():
            began = time.perf_counter()
            cursor.execute(statement)
            # The driver counts no rows of a statement that begins with WITH.
            cursor.execute("SELECT changes()")
            print(f"{cursor.fetchone()[0]:>10,} {name} in {time.perf_counter() - began:.0f} s", flush=True)
        cursor.execute("ANALYZE")


def pages() -> dict[str, str]:
    """Address by name, each as an operator would open it."""
    from django.contrib.auth.models import User

    from realtime.models import RealtimeSession

    session = RealtimeSession.objects.order_by("-started_at")[50]
    user = User.objects.first()
    assert user is not None
    lists = {
        "sessions": LIST,
        "sessions, live": f"{LIST}?state=live",
        "sessions, slow": f"{LIST}?trouble=slow",
        "sessions, errored": f"{LIST}?trouble=errored",
        "sessions, expensive": f"{LIST}?trouble=expensive",
        "sessions, unknown price": f"{LIST}?trouble=unpriced",
        "sessions of a person": f"{LIST}?q={user.get_username()}",
        "sessions, by cost": f"{LIST}?o=-8",
        "sessions, page 40": f"{LIST}?p=40",
        "one session": f"{LIST}{session.pk}/change/",
        "turns": "/admin/realtime/turn/",
        "turns, slow": "/admin/realtime/turn/?slow=yes",
        "events": "/admin/realtime/sessionevent/",
        "events of a name": "/admin/realtime/sessionevent/?name=upstream.error",
        "events of a session": f"/admin/realtime/sessionevent/?q={session.pk}",
        "usage": "/admin/realtime/usagerecord/",
        "usage of a session": f"/admin/realtime/usagerecord/?q={session.pk}",
        "a person": f"/admin/auth/user/{user.pk}/change/",
        "budgets": "/admin/realtime/budget/",
        "probe runs": "/admin/realtime/proberun/",
        "audit": "/admin/conversations/auditentry/",
    }
    totals = {f"totals by {by}": f"{TOTALS}?by={by}" for by in ("user", "model", "day")}
    dashboards = {
        f"dashboard, {period}": f"{DASHBOARD}?period={period}" for period in ("day", "week", "month")
    }
    return lists | totals | dashboards


def measure(rounds: int, limit_ms: float) -> list[str]:
    """Print a line per page; returns the names of those that are too slow."""
    from django.contrib.auth.models import User
    from django.core.cache import cache
    from django.db import connection
    from django.db.backends.signals import connection_created
    from django.test import Client

    asked: list[str] = []

    def note(execute: Any, sql: str, *more: Any) -> Any:
        asked.append(sql)
        return execute(sql, *more)

    def listen(connection: Any, **_more: Any) -> None:
        connection.execute_wrappers.append(note)

    connection_created.connect(listen)  # a view may run on another thread, with a connection of its own
    listen(connection)
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    slow = []
    for name, url in pages().items():
        times, works = [], []
        for _ in range(rounds + 1):
            cache.clear()
            asked.clear()
            began, worked = time.perf_counter(), time.process_time()
            answer = client.get(url)
            assert answer.status_code == 200, (name, answer.status_code)
            times.append((time.perf_counter() - began) * 1000)
            works.append((time.process_time() - worked) * 1000)
        # The first one is left out: it also imports and compiles what all later ones use.
        median, work = statistics.median(times[1:]), statistics.median(works[1:])
        if median > limit_ms:
            slow.append(name)
        rest = f"(worst {max(times[1:]):.0f}, CPU {work:.0f}, first {times[0]:.0f})"
        print(f"{name:26} {len(asked):4} questions {median:7.0f} ms {rest}", flush=True)
    return slow


def first_looks(limit_ms: float) -> list[str]:
    """Look at a month that nothing is kept of until it is whole, as a page that is open does; names as `measure`."""
    from django.contrib.auth.models import User
    from django.test import Client

    from realtime import past
    from realtime.models import HourFigures, UsageDay

    client = Client()
    client.force_login(User.objects.get(username="operator"))
    slow = []
    for name, url in (
        ("dashboard, month", f"{DASHBOARD}?period=month"),
        ("totals by user", f"{TOTALS}?by=user"),
    ):
        client.get(url)  # it imports and compiles
        HourFigures.objects.all().delete()
        UsageDay.objects.all().delete()
        times, whole = [], False
        while not whole:
            began = time.perf_counter()
            whole = b"data-left" not in client.get(url).content
            times.append((time.perf_counter() - began) * 1000)
        if max(times) > limit_ms:
            slow.append(f"first look at {name}")
        print(
            f"first look at {name:16} {times[0]:7.0f} ms, worst of {len(times)} until it is whole {max(times):.0f} ms"
        )
    HourFigures.objects.all().delete()
    UsageDay.objects.all().delete()
    steps, left = [], 1
    while left:
        began = time.perf_counter()
        left = past.step()
        steps.append((time.perf_counter() - began) * 1000)
    print(
        f"summed up in {len(steps)} steps, median {statistics.median(steps):.0f} ms, worst {max(steps):.0f} ms"
    )
    return slow


def main() -> int:
    """Fill, measure, print; 1 when a page takes longer than `--limit-ms`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit-ms", type=float, default=300.0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder of the database, kept afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voice-admin-") as temporary:
        return run(options, options.keep or Path(temporary))


def run(options: Any, folder: Path) -> int:
    os.environ.update(
        DEBUG="true", PYTHON_DOTENV_DISABLED="1", DATA_DIR=str(folder), REALTIME_RETENTION_DAYS="0"
    )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.DEBUG = False  # in which Django keeps every question it asks
    call_command("migrate", verbosity=0)
    if not User.objects.filter(username="person0").exists():
        fill(options.sessions, options.events)
    User.objects.filter(username="operator").delete()
    slow = measure(options.rounds, options.limit_ms) + first_looks(options.limit_ms)
    if slow:
        print(f"slower than {options.limit_ms:.0f} ms: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
