"""A sound card made of software: a loudspeaker that is recorded and a microphone that plays files. Needs PulseAudio.

Every browser sees it as the machine's own card, so what the tests say and hear passes the browser's whole audio stack.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.browser.sound import Heard

RATE_HZ = 48_000
START_SEC = 20.0
MODULES = [
    f"module-null-sink sink_name=loudspeaker rate={RATE_HZ} channels=2 sink_properties=device.description=Loudspeaker",
    f"module-null-sink sink_name=voice rate={RATE_HZ} channels=1 sink_properties=device.description=Voice",
    "module-remap-source source_name=microphone master=voice.monitor source_properties=device.description=Microphone",
]


class Recording:
    """What a source of the card gives while the recording runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def heard(self) -> Heard:
        """Everything so far."""
        pcm = np.fromfile(self._path, "<i2")
        return Heard(pcm.astype(np.float32) / 32768, RATE_HZ)


class SoundCard:
    """`with SoundCard(folder) as card:` has a loudspeaker and a microphone until the block is left.

    `environment` is what a program needs to use them.
    """

    def __init__(self, folder: Path) -> None:
        # A path of a socket has at most 107 bytes; pytest's folders come near that.
        self._folder = folder
        self._socket = Path(f"/tmp/sound-card-{os.getpid()}-{id(self):x}")
        self.environment = {"PULSE_SERVER": f"unix:{self._socket}"}
        self._files = 0
        self._speaking: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> SoundCard:
        private = {
            name: str(self._folder)
            for name in (
                "HOME",
                "XDG_RUNTIME_DIR",
                "XDG_CONFIG_HOME",
                "PULSE_RUNTIME_PATH",
                "PULSE_STATE_PATH",
            )
        }
        modules = [f"module-native-protocol-unix socket={self._socket} auth-anonymous=1", *MODULES]
        self._log = self._folder / "log"
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", f"--log-target=file:{self._log}"]
            + [word for module in modules for word in ("-L", module)],
            env={**os.environ, **private},
            stderr=subprocess.DEVNULL,
        )
        pause = threading.Event()
        deadline = time.monotonic() + START_SEC
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError("the sound card did not start:\n" + self._log.read_text())
            pause.wait(0.05)
        self._control("set-default-sink", "loudspeaker")
        self._control("set-default-source", "microphone")
        return self

    def __exit__(self, *exc: object) -> None:
        for player in self._speaking:
            player.terminate()
            player.wait()
        self._server.terminate()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        return self._run("pactl", "info").returncode == 0

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def _control(self, *command: str) -> str:
        done = self._run("pactl", *command)
        assert done.returncode == 0, f"pactl {command}: {done.stderr}"
        return done.stdout.strip()

    def say(self, wav: Path) -> None:
        """Play a file to the microphone; returns at once."""
        self._speaking.append(
            subprocess.Popen(
                ["paplay", "--device=voice", "--latency-msec=20", str(wav)],
                env={**os.environ, **self.environment},
            )
        )

    @contextmanager
    def recording(self, source: str = "loudspeaker.monitor") -> Iterator[Recording]:
        """Record what comes out of the loudspeaker, or what another source gives."""
        self._files += 1
        path = self._folder / f"{self._files}.raw"
        with path.open("wb") as file:
            recorder = subprocess.Popen(
                f"parec --device={source} --rate={RATE_HZ} --channels=1 --format=s16le --raw --latency-msec=20".split(),
                env={**os.environ, **self.environment},
                stdout=file,
            )
            try:
                yield Recording(path)
            finally:
                recorder.terminate()
                recorder.wait(10)

    @contextmanager
    def echo(self, quieter_db: float) -> Iterator[None]:
        """Let the microphone hear the loudspeaker, as in a room: 30 ms later and this many dB below."""
        module = self._control(
            "load-module", "module-loopback", "source=loudspeaker.monitor", "sink=voice", "latency_msec=30"
        )
        try:
            inputs = [line.split("\t") for line in self._control("list", "short", "sink-inputs").splitlines()]
            (echo,) = [one[0] for one in inputs if "module-loopback" in self._describe(one[0])]
            self._control("set-sink-input-volume", echo, f"-{quieter_db}dB")
            yield
        finally:
            self._control("unload-module", module)

    def _describe(self, sink_input: str) -> str:
        """What the server says about one stream that plays."""
        everything = self._control("list", "sink-inputs").split("Sink Input #")
        return next(text for text in everything if text.startswith(f"{sink_input}\n"))
