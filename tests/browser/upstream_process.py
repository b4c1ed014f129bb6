"""The local Realtime server as a process of its own, started and ended by a test. Knows nothing of the relay."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SEC = 60.0


class UpstreamProcess:
    """`with UpstreamProcess() as upstream:` runs it in speech mode on a free port; arguments are its own options.

    `url` is where it listens. Its output is kept and shown when it does not start.
    """

    def __init__(self, *options: str) -> None:
        self._command = [sys.executable, "-u", "-m", "realtime.local", "--port", "0", *options]
        self._ready = threading.Event()
        self._lines: list[str] = []
        self.url = ""

    def __enter__(self) -> UpstreamProcess:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, name="upstream output", daemon=True)
        self._reader.start()
        if not self._ready.wait(START_SEC) or not self.url:
            self.__exit__()
            raise AssertionError("the local Realtime server did not start:\n" + "".join(self._lines))
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.append(line)
                if found := re.search(r"ready on (ws://\S+)", line):
                    self.url = found[1]
                    self._ready.set()
        self._ready.set()  # it ended: nobody needs to wait any longer

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
