"""`manage.py realtime_sweep`: once what a running site does by itself all the time. For cron, and after a crash."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from realtime import leases, past, services
from realtime.journal import Journal


class Command(BaseCommand):
    help = (
        "Store what a crash left in the spill file, end sessions whose process is gone, forget spent tokens, "
        "sum up the hours and days that lie behind. Takes half a minute longer when processes of other machines, or "
        "living ones, have not renewed their leases."
    )

    def handle(self, *args: object, **options: Any) -> None:
        asyncio.run(self._replay())  # first: what was spilled may hold the true end of a session
        lost = 0
        while reaped := leases.reap_lost_sessions(only_dead=True):
            lost += reaped
        watch = leases.Watch()
        if watch.needed:
            self.wait(settings.REALTIME_LEASE_SEC)
            lost += watch.reap()
        tokens = leases.forget_used_tokens()
        past.whole(lambda left: self.stdout.write(f"Hours and days still to sum up: {left}."))
        left = len(list(settings.REALTIME_SPILL_DIR.glob("*")))
        self.stdout.write(
            f"Lost sessions ended: {lost}. Spent tokens forgotten: {tokens}. Spill files left: {left}."
        )

    def wait(self, seconds: float) -> None:
        """Let those renew their leases who only could not, because the database was away."""
        self.stdout.write(f"Some leases are over. Whose process lives renews them within {seconds:g} s.")
        time.sleep(seconds)

    async def _replay(self) -> None:
        journal = Journal(services.write_entries, settings.REALTIME_SPILL_DIR)
        await journal.start()
        await journal.close()
