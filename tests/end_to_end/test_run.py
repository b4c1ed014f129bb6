"""`scripts/run.py`, what `make run` starts: both programs up, both down, and one sentence for what can go wrong."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.run import CannotRun, next_free_port, port_is_free, running, until_one_ends, until_ready

ROOT = Path(__file__).resolve().parents[2]
WAIT_SEC = 120.0  # a bound for a loaded machine, not a measurement
pytestmark = pytest.mark.timeout(300)


class Run:
    """`scripts/run.py` as a process, its output line by line."""

    def __init__(self, data: Path, port: int, **env: str) -> None:
        env |= {
            "PATH": os.environ["PATH"],
            "PYTHON_DOTENV_DISABLED": "1",  # a developer's key must not reach a test
            "PYTHONUNBUFFERED": "1",
            "DATA_DIR": str(data),
            "PORT": str(port),
        }
        self.lines: list[str] = []
        self._said = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "scripts/run.py"],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="output of the run")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._said:
                    self.lines.append(line.rstrip())
                    self._said.notify_all()

    def until(self, words: str) -> str:
        """The first line with the words in it."""

        def found() -> str | None:
            return next((line for line in self.lines if words in line), None)

        with self._said:
            assert self._said.wait_for(found, WAIT_SEC), "\n".join(self.lines)
            line = found()
        assert line is not None
        return line

    def end(self, number: int) -> int:
        """Signal it, and wait; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SEC)
        self._reader.join(WAIT_SEC)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        self._reader.join(WAIT_SEC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def occupied() -> Iterator[int]:
    """A port that something else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def port() -> Iterator[int]:
    """A port for the site. One run at a time on this machine: each looks for its free ports from the same one on.

    It is below those that systems give to whoever asks for any, so no other test can come to have it meanwhile.
    """
    path = Path(tempfile.gettempdir()) / f"voiceproject-test-run-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield next_free_port(20_001)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_site_and_its_upstream_start_together_and_end_together(
    data: Path, port: int, number: int
) -> None:
    run = Run(data, port)
    try:
        run.until(f"Open http://127.0.0.1:{port}/")
        upstream_port = int(run.until("ready on ws://").split(":")[-1].split("/")[0])
        run.until("Log in as")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/static/icon.svg", timeout=10) as answer:
            assert answer.status == 200
        assert not port_is_free(upstream_port)
        assert run.end(number) == 0
    finally:
        run.close()
    assert port_is_free(port)
    assert port_is_free(upstream_port)
    assert not [line for line in run.lines if "Traceback" in line or "Warning" in line]


def test_with_a_key_no_local_upstream_is_started(data: Path, port: int) -> None:
    run = Run(data, port, OPENAI_API_KEY="sk-not-a-key")
    try:
        run.until(f"Open http://127.0.0.1:{port}/")
    finally:
        run.close()
    assert "The assistant is at api.openai.com." in run.lines
    assert not [line for line in run.lines if line.startswith("   local |") or "sk-not-a-key" in line]


def test_a_port_in_use_is_one_sentence_with_the_way_out(data: Path, occupied: int) -> None:
    run = Run(data, occupied)
    assert run.process.wait(WAIT_SEC) == 1
    run.close()
    assert run.lines == [f"Port {occupied} is in use. Choose another: make run PORT={occupied + 1}."]


def test_a_setting_that_cannot_be_read_is_named(data: Path) -> None:
    run = Run(data, 0)
    assert run.process.wait(WAIT_SEC) == 1
    run.close()
    assert len(run.lines) == 1
    assert "PORT must be between 1 and 65535" in run.lines[0]


def test_the_next_free_port_is_taken(occupied: int) -> None:
    assert next_free_port(occupied) > occupied


async def test_the_end_of_one_program_ends_the_other_with_a_reason() -> None:
    async with (
        running("site", "-c", "import signal; signal.pause()") as stays,
        running("local", "-c", "raise SystemExit(3)") as ends,
    ):
        with pytest.raises(CannotRun, match="The local Realtime server ended with code 3"):
            await until_one_ends([stays, ends])
    assert stays.process.returncode is not None


async def test_a_program_that_ends_while_starting_is_not_waited_for() -> None:
    never = asyncio.create_task(asyncio.Event().wait(), name="ready")
    async with running("site", "-c", "raise SystemExit(1)") as program:
        with pytest.raises(CannotRun, match="The site ended with code 1"):
            await until_ready([program], never)  # type: ignore[arg-type]
