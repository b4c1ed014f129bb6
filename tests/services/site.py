"""The site as it is deployed: workers under production settings behind nginx, an upstream, PostgreSQL and Redis."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.certificates import Authority
from tests.services.engines import Engine, Postgres, Redis, can_connect, free_port, program

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
COMMAND_S = 120.0
PEOPLE = 50
PREPARE = """
import django, json; django.setup()
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken
people = [User(username=f"person{n}", password="!") for n in range(%d)]
people = User.objects.bulk_create(people)
print(json.dumps([str(AccessToken.for_user(person)) for person in people]))
"""


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with each of these changed. One that is not in it is an error: the test would test something else."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is no longer in the file"
        text = text.replace(old, new)
    return text


class Nginx(Engine):
    """The files of deploy/nginx with ports, paths and certificates of the test."""

    name = "nginx"

    def __init__(self, folder: Path, worker_ports: list[int]) -> None:
        super().__init__(folder)
        self.plain_port = free_port()
        self._worker_ports = worker_ports

    def prepare(self) -> None:
        """Write the files."""
        self.authority = Authority(self.folder)
        self.authority.context(HOST)  # writes key and certificate
        certificate = str(self.folder / f"{HOST}-False.pem")
        shipped = ROOT / "deploy" / "nginx"
        site = replaced(
            (shipped / "voice.conf").read_text(encoding="utf-8"),
            {
                "    listen [::]:80;\n": "",
                "    listen [::]:443 ssl http2;\n": "",
                "listen 80;": f"listen {HOST}:{self.plain_port};",
                "listen 443 ssl http2;": f"listen {HOST}:{self.port} ssl http2;",
                "server_name voice.example.org;": f"server_name {HOST};",
                "/etc/letsencrypt/live/voice.example.org/fullchain.pem": certificate,
                "/etc/letsencrypt/live/voice.example.org/privkey.pem": certificate,
                "/var/log/nginx/": f"{self.folder}/",
            },
        )
        workers = replaced(
            (shipped / "workers.conf").read_text(encoding="utf-8"),
            {f"{HOST}:{8001 + n} ": f"{HOST}:{port} " for n, port in enumerate(self._worker_ports)},
        )
        (self.folder / "voice.conf").write_text(site, encoding="utf-8")
        (self.folder / "workers.conf").write_text(workers, encoding="utf-8")
        kept = " ".join(
            f"{kind}_temp_path {self.folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"{user} pid {self.folder}/pid; worker_processes 1; daemon off; error_log {self.folder}/main.log warn;\n"
            f"events {{ worker_connections 2048; }}\n"
            f"http {{ access_log off; {kept}\n"
            f"include {self.folder}/voice.conf; include {self.folder}/workers.conf; }}\n",
            encoding="utf-8",
        )

    def command(self) -> list[str]:
        """In the foreground."""
        return [
            program("nginx"),
            "-c",
            str(self.folder / "nginx.conf"),
            "-p",
            str(self.folder),
            "-e",
            "stderr",
        ]

    def check(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run(
            [*self.command(), "-t"], capture_output=True, text=True, timeout=COMMAND_S, check=False
        )

    def answers(self) -> bool:
        """Whether it listens."""
        return can_connect(self.port)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """For those who talk to it: its authority is known, its name is an address that certificates rarely hold."""
        context = ssl.create_default_context(cafile=str(self.authority.trust))
        context.check_hostname = False
        return context

    @property
    def logs(self) -> str:
        """Everything that it wrote down."""
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.log")))


class Upstream(Engine):
    """The local Realtime server in its scripted mode, as a process."""

    name = "upstream"

    def __init__(self, folder: Path, script: list[dict[str, Any]]) -> None:
        super().__init__(folder)
        self._script = script

    def prepare(self) -> None:
        """Write the script."""
        (self.folder / "script.json").write_text(json.dumps(self._script), encoding="utf-8")

    def command(self) -> list[str]:
        """Any number of sessions."""
        options = [
            "--script",
            str(self.folder / "script.json"),
            "--port",
            str(self.port),
            "--max-sessions",
            "2000",
        ]
        return [sys.executable, "-m", "realtime.local", *options]

    def answers(self) -> bool:
        """Whether it listens."""
        return can_connect(self.port)

    @property
    def url(self) -> str:
        """The value of REALTIME_BASE_URL."""
        return f"ws://{HOST}:{self.port}/v1/realtime"


class Worker(Engine):
    """`manage.py serve` under the product's own production settings."""

    name = "worker"

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        super().__init__(folder)
        self._environment = environment
        self.exit_codes: list[int] = []

    def command(self) -> list[str]:
        """Its environment is all it knows."""
        return ["env", "-i", *(f"{name}={value}" for name, value in self._environment.items()), sys.executable,
                "manage.py", "serve", "--port", str(self.port)]  # fmt: skip

    def answers(self) -> bool:
        """`/health`."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """User and system seconds so far; 0 when it is not there."""
        if self.process is None:
            return 0.0
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> int:
        """Memory that is in RAM now; 0 when it is not there."""
        if self.process is None:
            return 0
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 2**20

    def stop(self) -> None:
        """As a supervisor does."""
        process = self.process
        super().stop()
        if process is not None:
            self.exit_codes.append(process.returncode)


@dataclass
class Site:
    """Everything, running."""

    folder: Path
    environment: dict[str, str]
    postgres: Postgres
    redis: Redis
    nginx: Nginx
    upstream: Upstream
    workers: list[Worker]
    bearers: list[str]

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database, read past Django."""
        with psycopg.connect(self.environment["DATABASE_URL"], connect_timeout=10) as connection:
            return connection.execute(query, values).fetchall()

    def api(
        self, method: str, path: str, bearer: str, body: dict[str, Any] | None = None, address: str = HOST
    ) -> tuple[int, dict[str, Any]]:
        """A request of a program through nginx, from one of the addresses 127.0.0.0/8: status and JSON."""
        connection = http.client.HTTPSConnection(
            HOST, self.nginx.port, timeout=60, context=self.nginx.trust, source_address=(address, 0)
        )
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(raw) if raw.startswith(b"{") else {}

    @property
    def worker_logs(self) -> str:
        """What the workers printed and logged."""
        return "".join(worker.log for worker in self.workers)


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run one management command, or a program with `-c`; returns what it prints."""
    program_arguments = arguments if arguments[0] == "-c" else ("manage.py", *arguments)
    done = subprocess.run(
        [sys.executable, *program_arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def whole_site(
    folder: Path, script: list[dict[str, Any]], *, workers: int = 4, **settings: str
) -> Iterator[Site]:
    """Start everything on empty databases, end everything."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(Postgres(folder / "postgres"))
        redis = stack.enter_context(Redis(folder / "redis"))
        upstream = stack.enter_context(Upstream(folder / "upstream", script))
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
            "PYTHON_DOTENV_DISABLED": "1",
            "PYTHONUNBUFFERED": "1",
            "DATA_DIR": str(folder / "data"),
            "SECRET_KEY": "of-a-test-only-" + "k3y" * 20,
            "ALLOWED_HOSTS": HOST,
            "BEHIND_PROXY": "true",
            "NUM_PROXIES": "1",
            "DATABASE_URL": postgres.create("voice"),
            "REDIS_URL": redis.url,
            "REALTIME_BASE_URL": upstream.url,
            "REALTIME_MAX_SESSIONS": "1000",
            "REALTIME_MAX_SESSIONS_PER_USER": "8",
            "REALTIME_MINTS_PER_MINUTE": "1000",
            **settings,
        }
        (folder / "data").mkdir()
        manage(environment, "migrate", "--verbosity=0")
        manage(environment, "collectstatic", "--verbosity=0", "--no-input")
        bearers = json.loads(manage(environment, "-c", PREPARE % PEOPLE))
        running = [Worker(folder / f"worker{n}", environment) for n in range(workers)]
        for worker in running:
            worker.folder.mkdir()
            stack.callback(worker.stop)
        with ThreadPoolExecutor(workers) as threads:
            list(threads.map(Worker.start, running))
        ports = [running[n % workers].port for n in range(4)]
        nginx = stack.enter_context(Nginx(folder / "nginx", ports))
        yield Site(folder, environment, postgres, redis, nginx, upstream, running, bearers)


def tracebacks(log: str) -> list[str]:
    """What no log should hold."""
    return re.findall(r"Traceback|never retrieved|never awaited|was destroyed", log)
