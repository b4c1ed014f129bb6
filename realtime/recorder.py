"""Writes the audio that people let be kept: gathered on the event loop, written by one thread. Decides nothing.

A frame costs the audio path an append to a list. About once a second what came is handed to the thread, which appends
it to the session's file. What waits is bounded: a disk that is full or too slow ends the recording, never the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages

from realtime.effects import KeepAudio, KeepSpan
from realtime.recording_file import KeptAudio, chunks_of

logger = logging.getLogger("realtime.recorder")
FLUSH_BYTES = 48_000  # a second of one lane: what a killed process loses
MAX_WAITING_BYTES = 4 * 1024 * 1024  # for the thread, by session


def storage() -> Storage:
    """Where recordings are."""
    return storages["recordings"]


def file_name(session_id: UUID) -> str:
    """A session's file, in one of 256 folders."""
    return f"{session_id.hex[:2]}/{session_id}.pcm"


class RecordingThread:
    """One per switchboard."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recordings")

    def recorder(self, session_id: UUID, failed: Callable[[], None]) -> Recorder:
        """For one session; `failed` is called on the loop, once, when nothing more can be kept."""
        return Recorder(self._thread, session_id, failed)

    async def close(self, timeout_s: float) -> None:
        """Let the thread write what waits, for so long at most. Call it after the recorders are closed."""
        done = asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        await asyncio.wait({done}, timeout=timeout_s)


class Recorder:
    """The kept audio of one session. All but `_write` and `_close` run on the event loop."""

    def __init__(self, thread: ThreadPoolExecutor, session_id: UUID, failed: Callable[[], None]) -> None:
        self._thread = thread
        self._name = file_name(session_id)
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._pieces: list[KeepAudio | KeepSpan] = []
        self._bytes = 0
        self._waiting_bytes = 0
        self._broken = False
        self._file: BinaryIO | None = None  # the thread's own

    def put(self, piece: KeepAudio | KeepSpan) -> None:
        """Keep it; never waits."""
        self._pieces.append(piece)
        if isinstance(piece, KeepAudio):
            self._bytes += len(piece.pcm)
        if self._bytes >= FLUSH_BYTES or isinstance(piece, KeepSpan):
            self.flush()

    def begin(self) -> None:
        """Audio is kept from now on. The file is opened anew: an earlier one may have been deleted meanwhile."""
        self._submit(self._close)

    def flush(self) -> None:
        """Hand over what came."""
        pieces, self._pieces = self._pieces, []
        count_bytes, self._bytes = self._bytes, 0
        if self._broken or not pieces:
            return
        if self._waiting_bytes + count_bytes > MAX_WAITING_BYTES:
            self._break("the disk is too slow")
            return
        self._waiting_bytes += count_bytes
        self._submit(self._write, pieces, count_bytes)

    def close(self) -> None:
        """The session is over."""
        self.flush()
        self._submit(self._close)

    def _submit(self, work: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the thread has ended with the process's other work
            self._thread.submit(work, *arguments)

    def _break(self, why: str) -> None:
        if not self._broken:
            self._broken = True
            logger.error("a recording ends before its session: %s", why)
            self._failed()

    def _written(self, count_bytes: int, why: str) -> None:
        self._waiting_bytes -= count_bytes
        if why:
            self._break(why)

    # ---- on the thread

    def _write(self, pieces: list[KeepAudio | KeepSpan], count_bytes: int) -> None:
        why = ""
        try:
            if self._file is None:
                self._file = _open(self._name)
            if shutil.disk_usage(storage().path("")).free // 2**20 < settings.REALTIME_RECORDING_MIN_FREE_MB:
                why = "the disk is nearly full"
            else:
                self._file.write(chunks_of(pieces))
                self._file.flush()
        except Exception as error:
            why = type(error).__name__
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._written, count_bytes, why)

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _open(name: str) -> BinaryIO:
    """To append, behind the last whole chunk."""
    place = storage()
    if not place.exists(name):
        place.save(name, ContentFile(b""))
    file = cast(BinaryIO, place.open(name, "r+b"))
    file.seek(KeptAudio.read(file).whole_bytes)
    file.truncate()
    return file
