"""`manage.py serve` says in one sentence why it cannot start, and puts in order what was left before it begins."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.serve.site_process import Rows, SiteProcess, manage, run_python

LOST = """
import django; django.setup()
from datetime import timedelta
from uuid import uuid4
from django.contrib.auth.models import User
from django.utils import timezone
from realtime.models import RealtimeSession
from realtime.ownership import WORKER
RealtimeSession.objects.create(
    id=uuid4(), user=User.objects.get(), modality="voice", lease_until=timezone.now() + timedelta(seconds={lease_s}),
    worker=WORKER,
)
"""


def leave_session(folder: Path, lease_s: int) -> None:
    """A row as a process leaves it that was killed; its lease is over after so many seconds."""
    run_python(folder, LOST.format(lease_s=lease_s))


@pytest.mark.parametrize("web", ["uvicorn", "daphne"])
def test_one_line_tells_the_address(folder: Path, web: str) -> None:
    with SiteProcess(folder, web) as site:
        assert site.lines == [f"Serving on http://127.0.0.1:{site.port}/ with {web}. Ctrl-C ends it.\n"]


def test_a_database_without_its_tables_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    answer = manage(tmp_path, "serve", "--port", "0")
    assert answer.returncode == 1
    assert "migrations are waiting. Run: python manage.py migrate" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_database_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").mkdir()
    answer = manage(tmp_path, "serve", "--port", "0")
    assert answer.returncode == 1
    assert "The database cannot be used (OperationalError)." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_setting_is_named_by_the_checks(folder: Path) -> None:
    answer = manage(folder, "serve", "--port", "0", REALTIME_VOICE="nobody")
    assert answer.returncode == 1
    assert "realtime.E005" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = manage(folder, "serve", "--port", str(port))
    assert answer.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_rows_of_a_lost_process_are_ended_at_the_start(folder: Path) -> None:
    leave_session(folder, -1)
    with SiteProcess(folder, "uvicorn", REALTIME_REAP_EVERY_SEC=3_600) as site:
        assert Rows(folder).end_reasons() == {"lost": 1}
        assert "1 sessions were lost with their process" in site.output


def test_rows_of_a_lost_process_are_ended_by_one_that_has_no_sessions_itself(folder: Path) -> None:
    with SiteProcess(folder, "uvicorn") as site:
        leave_session(folder, -1)
        site.wait_until_it_says("1 sessions were lost with their process")
        assert Rows(folder).end_reasons() == {"lost": 1}


def test_the_sweep_ends_lost_sessions_and_keeps_living_ones(folder: Path) -> None:
    leave_session(folder, -1)
    leave_session(folder, 3_600)
    answer = manage(folder, "realtime_sweep")
    assert answer.returncode == 0, answer.stderr
    assert "Lost sessions ended: 1." in answer.stdout
    assert Rows(folder).active() == 1


def test_the_sweep_clears_away_a_spill_file_that_a_crash_cut_short(folder: Path) -> None:
    (folder / "spill").mkdir()
    (folder / "spill" / "1-1-x.jsonl").write_text('{"cut short')
    answer = manage(folder, "realtime_sweep")
    assert answer.returncode == 0, answer.stderr
    assert "Lost sessions ended: 0. Spent tokens forgotten: 0. Spill files left: 0." in answer.stdout
