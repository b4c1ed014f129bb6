"""One client's socket: moves messages, performs a session's effects, applies faults. No protocol decisions."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from realtime.local.effects import (
    AnswerRequest,
    Close,
    Effect,
    Event,
    ForgetListening,
    Listen,
    Respond,
    Send,
    StopResponding,
    Transcribe,
)
from realtime.local.engine import Call, Engine, Fail, Incomplete, Piece, Say, Sound
from realtime.local.errors import Overloaded
from realtime.local.faults import Deliver, Disconnect, Expire, Fault, FaultLine, Wait
from realtime.local.scripted_engine import HearingFailed
from realtime.local.session import Session

log = logging.getLogger("realtime.local")

HEAD_START_MS = 1_000.0  # this much of an answer is sent at once, the rest at the set pace
MOST_WAITING_EVENTS = 64  # an answer pauses while the client does not read
BUSY = "The local server has too much to do at the moment. Please try again in a few seconds."


class Connection:
    """A client's connection, also as tests see it.

    `received` and `sent` hold every event as a dict, audio included, when records are kept. `open` is true from the
    accepted handshake until the socket is closed; `close_code` is what the socket ended with (1006: without a close).
    """

    def __init__(
        self,
        socket: ServerConnection,
        session: Session,
        engine: Engine,
        *,
        clock_ms: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        pace: float,
        keep_records: bool,
        faults: Callable[[], list[Fault]],
    ) -> None:
        self._socket = socket
        self._session = session
        self._engine = engine
        self._clock_ms, self._sleep, self._pace = clock_ms, sleep, pace
        self._keep_records = keep_records
        self._faults, self._fault_line = faults, FaultLine()
        self._outgoing: asyncio.Queue[Send | Close | asyncio.Event] = asyncio.Queue()
        self._room = asyncio.Event()
        self._deadline_moved = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._answers: dict[str, tuple[asyncio.Task[None], AnswerRequest]] = {}
        self.received: list[Event] = []
        self.sent: list[Event] = []
        self.open = True
        self.request_headers = socket.request.headers if socket.request else {}
        self.path = socket.request.path if socket.request else ""

    @property
    def close_code(self) -> int | None:
        return None if self.open else (self._socket.close_code or 1006)

    @property
    def close_reason(self) -> str | None:
        return self._socket.close_reason

    async def run(self) -> None:
        """Serve until the socket closes. Every task of the connection ends with it."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._write(), name="write")
                self._tasks.create_task(self._watch_deadlines(), name="deadlines")
                self._perform(self._session.start())
                await self._read()
                raise _Finished  # ends the other tasks
        except* _Finished:
            pass
        finally:
            self.open = False

    async def inject(self, event: Event) -> None:
        """Send any event to the client, in order with the session's own; returns when it was handed over."""
        if not self.open:
            raise ConnectionError("the connection is closed")
        handed_over = asyncio.Event()
        self._outgoing.put_nowait(Send(event))
        self._outgoing.put_nowait(handed_over)
        await handed_over.wait()

    async def drop(self, code: int | None = None, reason: str = "") -> None:
        """End the connection: with a close code, or without a word as a crashed host does (TCP reset)."""
        self.open = False
        if code is not None:
            await self._socket.close(code, reason)
            return
        raw = self._socket.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if self._keep_records:
                    self._record(message)
                effects = self._session.receive(message, self._clock_ms())
                for effect in effects:
                    if isinstance(effect, Listen):
                        # Awaited here: what is said must be heard before the next event is looked at.
                        frames = await self._engine.listen(effect.audio, effect.format)
                        if frames:
                            self._perform(self._session.heard(frames, self._clock_ms()))
                    else:
                        self._perform([effect])
        except ConnectionClosed:
            pass

    def _record(self, message: str | bytes) -> None:
        try:
            event = json.loads(message)
        except ValueError:
            event = {"type": None}
        self.received.append(event)

    def _perform(self, effects: list[Effect]) -> None:
        assert self._tasks is not None
        for effect in effects:
            match effect:
                case Send() | Close():
                    self._outgoing.put_nowait(effect)
                case Transcribe():
                    self._tasks.create_task(self._transcribe(effect), name="transcribe")
                case Respond(request):
                    task = self._tasks.create_task(self._answer(request), name="answer")
                    self._answers[request.response_id] = task, request
                case StopResponding(response_id):
                    if entry := self._answers.pop(response_id, None):
                        self._engine.answer_over(entry[1])
                        if entry[0] is not asyncio.current_task():
                            entry[0].cancel()
                case ForgetListening():
                    self._engine.forget()
        self._deadline_moved.set()

    async def _transcribe(self, work: Transcribe) -> None:
        place = work.item_id, work.take, work.kind
        try:
            heard = await self._engine.transcribe(work)
        except Overloaded:
            effects = self._session.not_transcribed(*place, "server_busy", BUSY, self._clock_ms())
        except HearingFailed as error:
            effects = self._session.not_transcribed(*place, "scripted", str(error), self._clock_ms())
        except Exception:
            log.exception("recognition failed")
            message = "The recogniser failed on this audio."
            effects = self._session.not_transcribed(*place, "recogniser_failed", message, self._clock_ms())
        else:
            effects = self._session.transcribed(*place, heard, self._clock_ms())
        self._perform(effects)

    async def _answer(self, request: AnswerRequest) -> None:
        pacer = _Pacer(self._clock_ms, self._sleep, self._pace)
        pieces = self._engine.answer(request)
        try:
            async for piece in pieces:
                if isinstance(piece, Sound):
                    await pacer.wait_for(request.format.duration_ms(piece.audio))
                await self._wait_for_room()
                self._perform(self._piece(request.response_id, piece))
                if request.response_id not in self._answers:
                    return
                # A turn of the loop for the rest of the connection: reading, writing, the person's transcript.
                await asyncio.sleep(0)
            self._perform(self._session.answer_done(request.response_id, self._clock_ms()))
        except Overloaded:
            self._fail(request, "server_error", "inference_rate_limit_exceeded", BUSY)
        except Exception:
            log.exception("making an answer failed")
            self._fail(request, "server_error", "server_error", "The local server failed to make an answer.")
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]

    def _piece(self, response_id: str, piece: Piece) -> list[Effect]:
        session, now_ms = self._session, self._clock_ms()
        match piece:
            case Say(text, phase, glued):
                return session.answer_text(response_id, text, now_ms, phase, glued)
            case Sound(audio):
                return session.answer_audio(response_id, audio, now_ms)
            case Call(name, arguments):
                return session.answer_call(response_id, name, arguments, now_ms)
            case Incomplete(reason):
                return session.answer_incomplete(response_id, reason, now_ms)
            case Fail(type, code, message):
                return session.answer_failed(response_id, type, code, message, now_ms)

    def _fail(self, request: AnswerRequest, type: str, code: str, message: str) -> None:
        self._perform(self._session.answer_failed(request.response_id, type, code, message, self._clock_ms()))

    async def _wait_for_room(self) -> None:
        while self.open and self._outgoing.qsize() >= MOST_WAITING_EVENTS:
            self._room.clear()
            await self._room.wait()

    async def _write(self) -> None:
        try:
            while True:
                entry = await self._outgoing.get()
                match entry:
                    case Send(event):
                        await self._deliver(event)
                    case Close(code, reason):
                        await self._socket.close(code, reason[:120])
                        return
                    case asyncio.Event():
                        entry.set()
                if self._outgoing.qsize() < MOST_WAITING_EVENTS:
                    self._room.set()
        except ConnectionClosed:
            pass
        finally:
            self._room.set()
            while not self._outgoing.empty():
                if isinstance(entry := self._outgoing.get_nowait(), asyncio.Event):
                    entry.set()

    async def _deliver(self, event: Event) -> None:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        for action in self._fault_line.actions(event, text, self._faults()):
            match action:
                case Deliver(content):
                    if self._keep_records and content is text:
                        self.sent.append(event)
                    await self._socket.send(content)
                case Wait(ms):
                    await (asyncio.Event().wait() if ms is None else self._sleep(ms / 1000))
                case Disconnect(code, reason):
                    await self.drop(code, reason)
                case Expire():
                    self._perform(self._session.expire())

    async def _watch_deadlines(self) -> None:
        while True:
            wait_s = max(0.0, self._session.next_deadline_ms() - self._clock_ms()) / 1000
            self._deadline_moved.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._deadline_moved.wait()
            except TimeoutError:
                self._perform(self._session.tick(self._clock_ms()))
                if self._session.ended:
                    return


class _Finished(Exception):
    """Ends the task group of a connection whose socket is closed."""


class _Pacer:
    """Holds audio back so that it is sent only so much faster than it plays."""

    def __init__(
        self, clock_ms: Callable[[], float], sleep: Callable[[float], Awaitable[None]], pace: float
    ) -> None:
        self._clock_ms, self._sleep, self._pace = clock_ms, sleep, pace
        self._began_ms: float | None = None
        self._sent_ms = 0.0

    async def wait_for(self, audio_ms: float) -> None:
        if self._pace <= 0:
            return
        now_ms = self._clock_ms()
        if self._began_ms is None:
            self._began_ms = now_ms
        due_ms = self._began_ms + max(0.0, self._sent_ms + audio_ms - HEAD_START_MS) / self._pace
        self._sent_ms += audio_ms
        if due_ms > now_ms:
            await self._sleep((due_ms - now_ms) / 1000)
