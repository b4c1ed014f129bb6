"""What it costs to let people in: one mint and one redeemed token, in CPU time of this process and in wall time.

    DATABASE_URL=postgres://... python -m bench.admission [--count 300]

Needs an empty database (without DATABASE_URL: SQLite in a temporary folder), which it fills and leaves as it is.
Measured are the service calls, without HTTP, TLS, the upstream and the database's own CPU time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int, default=300)
arguments = parser.parse_args()
with tempfile.TemporaryDirectory() as folder:
    os.environ.update(DEBUG="true", DATA_DIR=folder, PYTHON_DOTENV_DISABLED="1")
    os.environ.update(DJANGO_SETTINGS_MODULE="voiceproject.settings", REALTIME_MAX_SESSIONS="100000")

    import django

    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from realtime import admission, leases, services

    call_command("migrate", verbosity=0)
    people = User.objects.bulk_create(
        User(username=f"p{number}-{time.time_ns()}") for number in range(arguments.count)
    )
    costs: dict[str, tuple[float, float]] = {}
    tokens: list[str] = []

    def timed(name: str, work: object) -> None:
        """Run it for everybody."""
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for person in people:
            work(person)  # type: ignore[operator]
        costs[name] = (time.process_time() - cpu_s, time.perf_counter() - wall_s)

    timed("mint", lambda person: tokens.append(admission.mint(user=person, origin="").token))
    timed("redeem", lambda person: admission.redeem(token_text=tokens.pop(), origin="", worker="bench"))
    ids = [row.pk for row in services.RealtimeSession.objects.active()]
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    leases.renew_leases(ids)
    costs["one renewal of all leases, per session"] = (
        time.process_time() - cpu_s,
        time.perf_counter() - wall_s,
    )
    print(f"{connection.vendor}, {arguments.count} sessions")
    for name, (cpu_s, wall_s) in costs.items():
        print(
            f"{name:42} {cpu_s * 1000 / arguments.count:8.2f} ms CPU {wall_s * 1000 / arguments.count:8.2f} ms wall"
        )
    connection.close()
