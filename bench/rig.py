"""What every bench does: build the C programs, start and stop a relay, load it, read its CPU time and memory.

All runs on this machine's loopback, in `BENCH_WORK` (var/bench). Figures are for comparing within one run: absolute
microseconds differ from machine to machine, and from minute to minute on one that is shared.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = Path(os.environ.get("BENCH_WORK", ROOT / "var" / "bench")).resolve()
FIRST_PORT = int(os.environ.get("BENCH_PORT", "18700"))
UPSTREAM_PORT, RELAY_PORT, TLS_PORT = FIRST_PORT, FIRST_PORT + 1, FIRST_PORT + 2
UPSTREAM = f"ws://127.0.0.1:{UPSTREAM_PORT}/v1/realtime"
TLS_UPSTREAM = f"wss://localhost:{TLS_PORT}/v1/realtime"
TRUST = WORK / "trust.pem"  # the certificate of the TLS before the upstream
PACKAGES = WORK / "packages"  # what only the bench needs
KEY = secrets.token_urlsafe(60)  # of this run
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MINTED_AT_ONCE, MINTED_FOR_S = 500, 200.0  # tokens are good for 300 s
START_S = 60.0


@dataclass(frozen=True)
class Relay:
    """One of those that are compared: how it is started, and what its browser speaks."""

    name: str
    command: list[str]
    dialect: str = "plain"
    path: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    deflate: bool = False  # the browser offers it
    bearer: str = ""  # the key that it is to send


def build() -> None:
    """Compile the C programs and make the product's database anew. Raises CalledProcessError."""
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(
        WORK / "data", ignore_errors=True
    )  # what earlier runs left there would cost later ones more
    zlib = ["-DWITH_ZLIB", "-lz"] if Path("/usr/include/zlib.h").exists() else []
    for name in ("upstream", "floor", "load"):
        source = HERE / "native" / f"{name}.c"
        command = ["cc", "-O2", "-o", WORK / name, source, "-lm", *(zlib if name == "load" else [])]
        subprocess.run(command, check=True)
    subprocess.run([*product("prepare")], env=environment(), check=True)


def product(*arguments: str) -> list[str]:
    """The command line of `product.py`."""
    return [sys.executable, str(HERE / "product.py"), *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of every relay: nothing of the machine's own settings."""
    ours = ("REALTIME_", "OPENAI_", "DATABASE_", "REDIS_", "DJANGO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **kept,
        "PYTHON_DOTENV_DISABLED": "1",
        "DEBUG": "false",  # as in production, with HTTPS at a proxy in front: no certificate is needed here
        "HTTPS_ONLY": "false",
        "SECRET_KEY": KEY,
        "JWT_SIGNING_KEY": KEY[::-1],
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "DATA_DIR": str(WORK / "data"),
        "REALTIME_BASE_URL": UPSTREAM,
        "REALTIME_UPSTREAM_LIBRARY": "picows",  # where it is installed
        "UPSTREAM": UPSTREAM,
        "BENCH_WORK": str(WORK),
        **more,
    }


@contextlib.contextmanager
def running(
    command: list[str], port: int, *, cwd: Path = HERE, log: str = "log", **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the length of the block, from the time it listens on. Raises RuntimeError when it does not."""
    with (WORK / log).open("ab") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(**more), stdout=output, stderr=output, start_new_session=True
        )
    try:
        until = time.monotonic() + START_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[:3]} did not start; see {WORK / log}")
            # A process tells nobody when it begins to listen: its port is asked again and again.
            time.sleep(0.02)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(25)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def upstream(*options: str) -> Iterator[None]:
    """The C upstream for the length of the block."""
    with running([str(WORK / "upstream"), str(UPSTREAM_PORT), *options], UPSTREAM_PORT):
        yield


@contextlib.contextmanager
def tls_upstream() -> Iterator[dict[str, str]]:
    """TLS in front of the upstream for the length of the block; the environment of a relay that is to dial it."""
    front = [sys.executable, str(HERE / "peers" / "tls_front.py"), str(TLS_PORT), str(UPSTREAM_PORT)]
    with running([*front, str(TRUST)], TLS_PORT):
        yield {
            "REALTIME_BASE_URL": TLS_UPSTREAM,
            "UPSTREAM": TLS_UPSTREAM,
            "SSL_CERT_FILE": str(TRUST),
        }


def cpu_s(pid: int) -> float:
    """User and system seconds that a process has used so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_kib(pid: int) -> int:
    """Memory of a process that is in RAM now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def load_command(relay: Relay, sessions: int, **options: Any) -> list[str]:
    """The load's command line, with tokens for the product's sessions."""
    command = [str(WORK / "load"), str(RELAY_PORT), "--dialect", relay.dialect, "--path", relay.path]
    command += ["--sessions", str(sessions), "--deflate", str(int(relay.deflate))]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    if relay.bearer:
        command += ["--bearer", relay.bearer]
    if relay.dialect == "page":
        file = WORK / "tokens"
        file.write_text("\n".join(take_tokens(sessions)) + "\n")
        command += ["--tokens", str(file)]
    return command


_minted: list[str] = []
_minted_at_s = 0.0


def take_tokens(count: int) -> list[str]:
    """Session tokens, each for once. Minted many at a time: to start Django for a few takes longer than the minting."""
    global _minted_at_s
    if len(_minted) < count or time.monotonic() > _minted_at_s + MINTED_FOR_S:
        file = WORK / "minted"
        number = str(max(count, MINTED_AT_ONCE))
        subprocess.run(product("tokens", number, str(file)), env=environment(), check=True)
        _minted[:], _minted_at_s = file.read_text().split(), time.monotonic()
    taken, _minted[:] = _minted[:count], _minted[count:]
    return taken


def load(relay: Relay, pid: int, sessions: int, **options: Any) -> dict[str, Any]:
    """Load a running relay; the figures of the load, with CPU per frame pair and session. Raises RuntimeError."""
    command = load_command(relay, sessions, **options)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    marks: dict[str, tuple[float, float]] = {}
    result: dict[str, Any] = {}
    for line in process.stdout:
        if line.startswith("{"):
            result = json.loads(line)
        else:
            marks[line.strip()] = cpu_s(pid), time.monotonic()
    if process.wait() or not result or not result["pairs"]:
        raise RuntimeError(f"{relay.name}: {process.stderr.read() if process.stderr else ''} {result}")
    (before, began), (after, ended) = marks["START"], marks["END"]
    cpu = after - before
    return {
        **result,
        "relay": relay.name,
        "us_per_pair": cpu * 1e6 / result["pairs"],
        "percent_per_session": 100 * cpu / (ended - began) / sessions,
        "resident_kib": resident_kib(pid),
    }


@contextlib.contextmanager
def started(relay: Relay, **more: str) -> Iterator[int]:
    """A relay that runs and has been warmed; its process id."""
    with running(relay.command, RELAY_PORT, cwd=HERE, **{**relay.environment, **more}) as process:
        load(relay, process.pid, 2, warm=0.2, seconds=0.5)  # what is imported and opened at first use
        yield process.pid
