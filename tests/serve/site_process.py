"""The site as a process of its own, started by `manage.py serve` on a database in a folder, and ended by a test."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
END_S = 40.0
PASSWORD = "ada-secret-1815"
PREPARE = """
import django; django.setup()
from django.core.management import call_command
from django.contrib.auth.models import User
call_command("migrate", verbosity=0)
User.objects.create_user("ada", "ada@example.com", "{password}")
"""


def environment(folder: Path, upstream_url: str = "", **settings: Any) -> dict[str, str]:
    """The environment of the site's process: nothing of the machine's own settings, one folder for all it keeps."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REALTIME_", "DJANGO_", "OPENAI_", "DATABASE_", "REDIS_"))
    }
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "tests.serve.site_settings",
        "PYTHON_DOTENV_DISABLED": "1",
        "PYTHONUNBUFFERED": "1",
        "DEBUG": "true",
        "HTTPS_ONLY": "false",
        "DATA_DIR": str(folder),
        "REALTIME_BASE_URL": upstream_url or "ws://127.0.0.1:9/v1/realtime",
        "REALTIME_MINTS_PER_MINUTE": "100000",
        "SITE_SETTINGS": json.dumps(settings),
    }


def prepare(folder: Path) -> None:
    """Make the tables and Ada's account in the folder."""
    run_python(folder, PREPARE.format(password=PASSWORD))


def run_python(folder: Path, program: str) -> None:
    """Run a program on the folder's database in a process of its own, as another one of the site's."""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(folder),
        check=True,
        timeout=START_S,
    )


def manage(folder: Path, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run one management command on the folder's database."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


class SiteProcess:
    """`with SiteProcess(folder, server, upstream_url) as site:`; further arguments are Django settings."""

    def __init__(self, folder: Path, server: str, upstream_url: str = "", **settings: Any) -> None:
        self.folder = folder
        self.port = 0
        self.lines: list[str] = []
        self._command = [sys.executable, "manage.py", "serve", "--server", server, "--port", "0"]
        self._environment = environment(folder, upstream_url, **settings)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="site output", daemon=True)
        self._reader.start()
        if not self._ready.wait(START_S) or not self.port:
            self.__exit__()
            raise AssertionError("the site did not start:\n" + self.output)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_S)
        self._reader.join(END_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line)
                if found := re.search(r"Serving on http://127\.0\.0\.1:(\d+)/", line):
                    self.port = int(found[1])
                    self._ready.set()
        self._ready.set()  # it ended: nobody needs to wait any longer

    @property
    def output(self) -> str:
        """All it has printed and logged so far."""
        return "".join(self.lines)

    def wait_until_it_says(self, words: str) -> None:
        """Wait for a line with these words; fails with all that it said instead."""
        deadline_s = time.monotonic() + START_S
        while words not in self.output:
            assert time.monotonic() < deadline_s, self.output
            time.sleep(0.02)

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def address_space_bytes(self) -> int:
        """Addresses that it has, whether there is memory behind them or not: what `ulimit -v` limits."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """As a crash: no handler runs."""
        self.process.kill()
        self.process.wait(END_S)

    def signal(self, number: int = signal.SIGTERM) -> float:
        """Send a signal; returns the time for `ended_after`."""
        self.process.send_signal(number)
        return time.monotonic()

    def ended_after(self, since_s: float) -> float:
        """Wait for the end; returns seconds since then."""
        self.process.wait(END_S)
        took_s = time.monotonic() - since_s
        self._reader.join(END_S)
        return took_s

    def post(self, path: str, body: dict[str, Any], bearer: str = "") -> dict[str, Any]:
        """POST JSON as a program does; the answer's JSON."""
        headers = {"Content-Type": "application/json"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def status_of(self, path: str) -> int:
        """GET a page; the status of the answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    def log_in(self) -> str:
        """Ada's bearer token."""
        return self.post("/api/token/", {"username": "ada", "password": PASSWORD})["access"]

    def mint(self, bearer: str, **fields: Any) -> dict[str, Any]:
        """A session token with where to go with it, for a conversation of its own."""
        conversation_id = self.post("/api/conversations/", {}, bearer)["id"]
        return self.post(
            "/api/voice/realtime-session", {"conversation_id": conversation_id, **fields}, bearer
        )


class Rows:
    """What is in the folder's database, read past Django."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "db.sqlite3"

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with sqlite3.connect(self._path, timeout=20) as database:
            try:
                return database.execute(query, values).fetchall()
            finally:
                database.rollback()

    def active(self) -> int:
        """Sessions that have not ended."""
        return self.read("select count(*) from realtime_realtimesession where ended_at is null")[0][0]

    def end_reasons(self) -> dict[str, int]:
        """How many sessions ended for each reason."""
        return dict(
            self.read(
                "select end_reason, count(*) from realtime_realtimesession where ended_at is not null "
                "group by end_reason"
            )
        )

    def message_ids(self) -> set[str]:
        """The ids of all messages, as the page is told them."""
        return {str_id(value) for (value,) in self.read("select id from conversations_message")}

    def statuses(self) -> dict[str, int]:
        """How many messages have each status."""
        return dict(self.read("select status, count(*) from conversations_message group by status"))

    def is_sound(self) -> bool:
        """Whether SQLite finds its file in order."""
        return self.read("pragma quick_check") == [("ok",)]


def str_id(stored: str) -> str:
    """SQLite keeps UUIDs as 32 hexadecimal digits; pages are told them with hyphens."""
    return f"{stored[:8]}-{stored[8:12]}-{stored[12:16]}-{stored[16:20]}-{stored[20:]}"
