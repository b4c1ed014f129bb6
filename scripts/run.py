"""Starts the site on this machine, with the local Realtime server beside it when no key is set. Not for production.

Called by `make run`. Both programs belong to this one: it prefixes what they print, and when it is told to stop, or
one of them ends, the other is ended and waited for. Holds no setting: they are read from `voiceproject.settings`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_DEADLINE_SEC = 120.0  # a small machine under load
STOP_DEADLINE_SEC = 25.0  # a live session gets to finish its sentence and save before this
POLL_SEC = 0.05


class CannotRun(Exception):
    """The site cannot run; the text is the sentence for the person at the terminal."""


class Stopped(Exception):
    """The person asked for the end."""


@dataclass(frozen=True)
class Program:
    """A child process and the name that stands before each of its lines."""

    name: str
    process: asyncio.subprocess.Process
    reader: asyncio.Task[None]


def port_is_free(port: int) -> bool:
    """Whether this process could listen on the port; raises CannotRun when the system forbids it."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a port that was just left counts as free
        try:
            probe.bind((HOST, port))
            probe.listen()
        except PermissionError:
            raise CannotRun(
                f"Port {port} is not allowed here. Choose one above 1023: make run PORT=8000."
            ) from None
        except OSError:
            return False
    return True


def next_free_port(first: int, tries: int = 50) -> int:
    """The first port from `first` on that is free."""
    for port in range(first, min(first + tries, 65536)):
        if port_is_free(port):
            return port
    raise CannotRun(
        f"Ports {first} to {first + tries - 1} are all in use. Set REALTIME_BASE_URL, or end what uses them."
    )


async def start(name: str, *command: str) -> Program:
    """Start a child in a process group of its own, so that Ctrl-C reaches this process alone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    return Program(name, process, asyncio.create_task(pass_on(name, process), name=f"output of {name}"))


async def pass_on(name: str, process: asyncio.subprocess.Process) -> None:
    """Print each line of a child behind its name, to the end of its output."""
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than the reader's limit: that part of the line is gone, the rest goes on
            continue
        if not line:
            return
        print(f"{name:>8} | {line.decode(errors='replace').rstrip()}", flush=True)


async def stop(program: Program) -> None:
    """End a child and wait for it; kill it when it does not end in time."""
    if program.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            program.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(program.process.wait(), STOP_DEADLINE_SEC)
        except TimeoutError:
            print(
                f"{program.name} did not end in {STOP_DEADLINE_SEC:.0f} seconds and was killed.", flush=True
            )
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.process.pid, signal.SIGKILL)
            await program.process.wait()
    await program.reader


@contextlib.asynccontextmanager
async def running(name: str, *command: str) -> AsyncIterator[Program]:
    """A child for the length of a block, ended on every way out."""
    program = await start(name, *command)
    try:
        yield program
    finally:
        await stop(program)


async def answers_tcp(port: int) -> None:
    """Return once something listens on the port."""
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(POLL_SEC)
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return


def fetch_health(port: int) -> bool:
    """Whether the site answers its health page with 200."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


async def answers_health(port: int) -> None:
    """Return once the site answers its health page."""
    await answers_tcp(port)
    while not await asyncio.to_thread(fetch_health, port):  # noqa: ASYNC110 -- another process tells no event
        await asyncio.sleep(POLL_SEC)


async def until_ready(programs: list[Program], *ready: asyncio.Task[None]) -> None:
    """Wait until every `ready` task is done; raises CannotRun when a program ends first or the deadline passes."""
    ends = {asyncio.create_task(program.process.wait()): program for program in programs}
    waiting: set[asyncio.Task[None]] = set(ready)
    try:
        async with asyncio.timeout(START_DEADLINE_SEC):
            while waiting:
                await asyncio.wait({*waiting, *ends}, return_when=asyncio.FIRST_COMPLETED)
                for end, program in ends.items():
                    if end.done():
                        raise CannotRun(ended_sentence(program))
                waiting = {task for task in waiting if not task.done()}
    except TimeoutError:
        raise CannotRun(
            f"The site did not answer within {START_DEADLINE_SEC:.0f} seconds; see the lines above."
        ) from None
    finally:
        for task in (*ends, *ready):
            task.cancel()


async def until_one_ends(programs: list[Program]) -> None:
    """Wait for the end of any program, which is never expected, and raise CannotRun with the reason."""
    ends = {asyncio.create_task(program.process.wait()): program for program in programs}
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in ends:
            task.cancel()
    raise CannotRun(ended_sentence(ends[done.pop()]))


def ended_sentence(program: Program) -> str:
    """Why the run ends when one program did."""
    code = program.process.returncode
    how = (
        f"was ended by {signal.Signals(-code).name}"
        if code is not None and code < 0
        else f"ended with code {code}"
    )
    names = {"site": "The site", "local": "The local Realtime server"}
    return f"{names[program.name]} {how}, so everything was stopped; the reason is in the lines above."


def prepare_database() -> None:
    """Bring the database up to date and make the demo account, which prints how to log in."""
    import django
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError

    django.setup()
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        raise CannotRun(
            f"The database could not be prepared ({type(error).__name__}). Check DATABASE_URL."
        ) from error
    except CommandError as error:
        raise CannotRun(str(error)) from error
    call_command("demo_account")


async def run(port: int, upstream_port: int | None, upstream_host: str) -> None:
    """Start what is needed, say where it is, and wait. Returns only by an exception.

    `upstream_port` is where the local Realtime server shall listen; None: the upstream is not ours to start.
    """
    async with contextlib.AsyncExitStack() as stack:
        programs: list[Program] = []
        ready: list[asyncio.Task[None]] = []
        if upstream_port is not None:
            # First, since it loads its models while the database is prepared.
            local = ("-m", "realtime.local", "--host", HOST, "--port", str(upstream_port))
            programs.append(await stack.enter_async_context(running("local", *local)))
            ready.append(asyncio.create_task(answers_tcp(upstream_port)))
        await asyncio.to_thread(prepare_database)
        site = ("manage.py", "serve", "--host", HOST, "--port", str(port))
        programs.append(await stack.enter_async_context(running("site", *site)))
        ready.append(asyncio.create_task(answers_health(port)))
        await until_ready(programs, *ready)
        if upstream_port is None:
            print(f"\nThe assistant is at {upstream_host}.", flush=True)
        else:
            print(
                "\nNo OPENAI_API_KEY is set: the assistant is the local Realtime server (English, offline).",
                flush=True,
            )
        print(f"Open http://{HOST}:{port}/ in a browser. Ctrl-C ends everything.\n", flush=True)
        await until_one_ends(programs)


async def run_until_stopped(port: int, upstream_port: int | None, upstream_host: str) -> None:
    """`run`, ended cleanly by SIGINT, SIGTERM or SIGHUP."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    asked = False

    def ask() -> None:
        nonlocal asked
        if not asked:  # a second Ctrl-C while the children end changes nothing: their end has a deadline
            asked = True
            print("\nStopping.", flush=True)
            main.cancel()

    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signal_number, ask)
    try:
        await run(port, upstream_port, upstream_host)
    except asyncio.CancelledError:
        if not asked:
            raise
        raise Stopped from None


def main() -> int:
    """Read the settings, check what can be checked, run. Returns the exit code."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DEBUG", "true")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    from voiceproject import env, settings

    try:
        if env.problems:
            raise CannotRun("\n".join(env.problems))
        if not port_is_free(settings.PORT):
            raise CannotRun(
                f"Port {settings.PORT} is in use. Choose another: make run PORT={settings.PORT + 1}."
            )
        upstream_port = None
        if settings.REALTIME_BASE_URL == settings.LOCAL_REALTIME_URL:
            usual = urlsplit(settings.LOCAL_REALTIME_URL)
            assert usual.port is not None
            upstream_port = next_free_port(usual.port)
            os.environ["REALTIME_BASE_URL"] = usual._replace(netloc=f"{HOST}:{upstream_port}").geturl()
        upstream_host = urlsplit(settings.REALTIME_BASE_URL).hostname or "the address in REALTIME_BASE_URL"
        asyncio.run(run_until_stopped(settings.PORT, upstream_port, upstream_host))
    except Stopped:
        print("Stopped.")
        return 0
    except CannotRun as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
