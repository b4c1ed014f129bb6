"""PostgreSQL, Redis and nginx as processes of a test run: own ports, a folder that goes with them. Never the machine's.

Each is a context manager with `stop()` and `start()`, so that a test can take it away and bring it back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

START_S = 180.0
STOP_S = 30.0
SERVANT = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this user


class EngineMissing(Exception):
    """A program is not installed; the text says what to do."""


def program(name: str) -> str:
    """The path of an installed program. Raises EngineMissing."""
    found = shutil.which(name)
    if found:
        return found
    # Debian keeps PostgreSQL's own programs out of PATH, one folder for each version.
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    if versions:
        return str(versions[-1])
    raise EngineMissing(
        f"{name} is not installed. On Debian, as root: apt-get install postgresql redis-server nginx-light"
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Engine:
    """One process. Subclasses say how it is started and how one sees that it answers."""

    name = "engine"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def prepare(self) -> None:
        """What has to be there before the first start."""

    def command(self) -> list[str]:
        """How the process is started."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes requests."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """What it has printed so far."""
        path = self.folder / "output.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._log = (self.folder / "output.log").open("ab")
        self.process = subprocess.Popen(self.command(), stdout=self._log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.name} did not start:\n{self.log[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, by force when it does not want to."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_S)
        self._forget()

    def kill(self) -> None:
        """As a crash: no handler runs."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_S)
        self._forget()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """It keeps its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _forget(self) -> None:
        self.process = None
        if self._log is not None:
            self._log.close()


def can_connect(port: int) -> bool:
    """Whether somebody listens on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Postgres(Engine):
    """A cluster of its own, with one superuser and no password: it listens on this machine only."""

    name = "PostgreSQL"
    stop_signal = signal.SIGQUIT  # "immediate": as a crash of the machine, connections are cut without a word

    def prepare(self) -> None:
        """Make the cluster."""
        self._own_user = os.geteuid() == 0
        if self._own_user:
            shutil.chown(self.folder, SERVANT, SERVANT)
        made = subprocess.run(
            [
                *self._as_servant(),
                program("initdb"),
                "--pgdata",
                str(self.folder / "data"),
                "--username=voice",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_S,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def _as_servant(self) -> list[str]:
        if not self._own_user:
            return []
        return [
            "setpriv",
            f"--reuid={SERVANT}",
            f"--regid={SERVANT}",
            "--init-groups",
            "env",
            "-i",
            "LC_ALL=C.UTF-8",
        ]

    def command(self) -> list[str]:
        """`max_connections` as Debian has it; no fsync, for nothing has to survive a power cut here."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*self._as_servant(), program("postgres"), "-D", str(self.folder / "data"), *flags]

    def answers(self) -> bool:
        """Whether it takes queries, not only connections."""
        import psycopg

        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def url_of(self, database: str) -> str:
        """The value of DATABASE_URL."""
        return f"postgres://voice@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; returns its URL."""
        import psycopg

        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url_of(database)


class Redis(Engine):
    """Nothing is kept: what the site puts there may be lost at any time."""

    name = "Redis"
    stop_signal = signal.SIGKILL

    def command(self) -> list[str]:
        """In memory only."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [program("redis-server"), *options, "--dir", str(self.folder)]

    def answers(self) -> bool:
        """PING."""
        if not can_connect(self.port):
            return False
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")

    @property
    def url(self) -> str:
        """The value of REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"
