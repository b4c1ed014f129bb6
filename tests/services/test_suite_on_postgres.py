"""Those tests of the suite that lean on the database, once more, on PostgreSQL: locks, races, odd texts, upserts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.engines import Postgres
from tests.services.site import ROOT

PARTS = [
    "tests/test_account_data.py",
    "tests/test_lock_order.py",
    "tests/conversations",
    "tests/operations/test_ledger.py",
    "tests/realtime/test_batches.py",
    "tests/realtime/test_replay.py",
    "tests/realtime/test_several_processes.py",
    "tests/realtime/test_resume.py",
    "tests/security/test_budgets.py",
    "tests/security/test_holds.py",
    "tests/security/test_lockout.py",
    "tests/security/test_retention.py",
    "tests/serve/test_reaper.py",
    "tests/serve/test_sweep.py",
]
WITHIN_S = 500


@pytest.mark.timeout(600)
def test_what_leans_on_the_database_holds_on_postgresql(folder: Path) -> None:
    with Postgres(folder / "postgres-of-the-suite") as postgres:
        done = subprocess.run(
            # The database goes with its engine. Dropping it could fail: threads of the last tests are still connected.
            [sys.executable, "-m", "pytest", "-q", "-p", "no:playwright", "--reuse-db", *PARTS],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": postgres.create("suite")},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
