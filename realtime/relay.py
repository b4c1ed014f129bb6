"""The relay of one session: owns its tasks and queues, waits on both sockets, and performs the session's effects.

It decides nothing: what to do comes from `session.py`. It belongs to the process, not to the page's connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from realtime import memory, metrics, upstream_events
from realtime.allowance import Verdict
from realtime.audio import BYTES_PER_MS
from realtime.bell import Bell
from realtime.breaker import Breaker
from realtime.conf import RelayConfig
from realtime.effects import (
    CloseBrowser,
    CloseUpstream,
    Effect,
    End,
    KeepAudio,
    KeepSpan,
    OpenUpstream,
    RecordAudio,
    Reserve,
    RunTool,
    SendBrowser,
    SendBrowserAudio,
    SendUpstream,
    SendUpstreamAudio,
    SwapUpstream,
    WarmUpstream,
)
from realtime.exceptions import UpstreamError, UpstreamLost
from realtime.journal import Entry, Journal
from realtime.queues import Outbox, Uplink
from realtime.recorder import RecordingThread
from realtime.session import Session
from realtime.tools import run_tool
from realtime.upstream import UpstreamLink, open_upstream

logger = logging.getLogger("realtime.relay")
MAX_UPLINK_AUDIO_BYTES = 2_000 * BYTES_PER_MS
MAX_OUTBOX_BYTES = 1024 * 1024
Reserver = Callable[[UUID, Reserve], Awaitable[Verdict]]
Dial = Callable[[RelayConfig], AbstractAsyncContextManager[UpstreamLink]]


class BrowserLink:
    """One connection of the page: what waits to be sent, and how it ends. The consumer pumps it."""

    def __init__(self, write: Callable[[str | bytes], bool] | None = None) -> None:
        """`write` sends at once, or says that it cannot; see `web_server.Direct`."""
        self.outbox = Outbox(MAX_OUTBOX_BYTES)
        self.wake = Bell()
        self.close_code: int | None = None
        self._write = write
        self._at_once: Callable[[str | bytes], bool] | None = None  # `write`, while nothing waits

    def close(self, code: int) -> None:
        """Close after what waits is sent."""
        self._at_once = None
        if self.close_code is None:
            self.close_code = code
        self.wake.set()

    def put_audio(self, pcm: bytes) -> None:
        """A speech frame: sent now, or as soon as there is room."""
        if self._at_once is not None and self._at_once(pcm):
            return
        self._at_once = None
        self.outbox.put_audio(pcm)
        self.wake.set()

    def put_message(self, message: dict[str, Any], overtakes: bool = False) -> None:
        """A JSON message: sent now, or as soon as there is room."""
        if self._at_once is not None and self._at_once(json.dumps(message, ensure_ascii=False)):
            return
        self._at_once = None
        self.outbox.put_message(message, overtakes)
        self.wake.set()

    async def pump(self, send: Callable[[str | bytes], Awaitable[None]]) -> int:
        """Send what waits until the link is to be closed; returns the close code."""
        while True:
            payload = self.outbox.pop()
            if payload is not None:
                await send(payload)
                continue
            if self.close_code is not None:
                return self.close_code
            self.wake.clear()
            self._at_once = self._write
            await self.wake.wait()


class Relay:
    """One session's tasks. `run()` returns when the session is over and both sockets are closed."""

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        session_id: UUID,
        conversation_id: UUID | None,
        user_id: int,
        recordings: RecordingThread,
        dial: Dial = open_upstream,
        breaker: Breaker | None = None,
        reserve: Reserver | None = None,
    ) -> None:
        self.session = session
        self.journal = journal
        self.session_id = session_id
        self.conversation_id = conversation_id
        self.user_id = user_id
        self.dial = dial
        self.breaker = breaker or Breaker()
        self.reserve = reserve
        self.link: BrowserLink | None = None
        self.uplink = Uplink(MAX_UPLINK_AUDIO_BYTES)
        self.recorder = recordings.recorder(session_id, self._recording_failed)
        self.finished = Bell()
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._started_s = self._clock()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms = 0  # when it is due
        self._uplink_wake = Bell()
        self._send_at_once: Callable[[bytes], bool] | None = None  # while nothing waits for the upstream
        self._dial_wanted = Bell()
        self._dial_after_ms = 0
        self._hung_up = False  # the upstream is of no use any more
        self._upstream: UpstreamLink | None = None  # that is read now
        self._reserving: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None
        self._swap = False  # hanging up on the old upstream, with the next one warm
        self._warm: tuple[UpstreamLink, Bell] | None = None  # and what tells its task that it is over
        self._group: asyncio.TaskGroup | None = None

    def now_ms(self) -> int:
        """Milliseconds since the session began, by the monotonic clock."""
        return int((self._clock() - self._started_s) * 1000)

    # ---- the page's side, called by the consumer through the switchboard; none of these waits ------------

    def attach(self, link: BrowserLink, hello: dict[str, Any]) -> None:
        """A connection of the page takes the session; an earlier one is superseded."""
        if self.link is not None and self.link is not link:
            self.link.close(4409)
        self.link = link
        self.perform(self.session.attach(hello, self.now_ms()))

    def detach(self, link: BrowserLink) -> None:
        """The page's connection is gone."""
        if self.link is link:
            self.link = None
            self.perform(self.session.browser_gone(self.now_ms()))

    def browser_audio(self, pcm: bytes) -> None:
        """A microphone frame. Raises BrowserError."""
        for effect in self.session.browser_audio(pcm, self.now_ms()):
            self._do(effect)  # no deadline of a session comes nearer by audio

    def browser_message(self, message: dict[str, Any]) -> None:
        """A checked message. Raises BrowserError."""
        self.perform(self.session.browser_message(message, self.now_ms()))

    def browser_position(self, item_id: str, samples: int) -> None:
        """What the page played of an item: the same as `browser_message` of it, cheaper. Raises BrowserError."""
        self.perform(self.session.browser_position(item_id, samples, self.now_ms()))

    def end(self, reason: str) -> None:
        """End from outside."""
        self.perform(self.session.end(reason, self.now_ms()))

    def budget(self, percent: int) -> None:
        """So much of a budget is used."""
        self.perform(self.session.budget(percent, self.now_ms()))

    def keep(self, level: str) -> None:
        """The choice that is stored for the conversation."""
        self.perform(self.session.keep(level, self.now_ms()))

    def _recording_failed(self) -> None:
        self.perform(self.session.recording_failed(self.now_ms()))

    def drain(self) -> None:
        """The process is going down."""
        self.perform(self.session.drain(self.now_ms()))

    # ---- effects -----------------------------------------------------------------------------------------

    def perform(self, effects: list[Effect]) -> None:
        """Do what the session asks; never waits."""
        for effect in effects:
            self._do(effect)
        self._keep_time()

    def _do(self, effect: Effect) -> None:
        match effect:
            case SendUpstreamAudio():
                self._to_upstream(effect)
            case SendBrowserAudio():
                self._to_browser(effect.pcm)
            case SendUpstream(event, overtakes):
                self._send_at_once = None
                self.uplink.put_control(event, overtakes)
                self._uplink_wake.set()
            case SendBrowser():
                self._to_browser(effect)
            case OpenUpstream(after_ms):
                self._dial_after_ms = after_ms
                self._dial_wanted.set()
            case CloseUpstream():
                self._send_at_once = None
                self._hang_up()
            case WarmUpstream(events):
                assert self._group is not None
                self._warming = self._group.create_task(
                    self._warm_upstream(events), name="relay next upstream"
                )
            case SwapUpstream():
                self._swap = True
                self._send_at_once = None
                self.uplink.clear()
                self._hang_up()
            case CloseBrowser(code):
                if self.link is not None:
                    self.link.close(code)
                    self.link = None
                if code == 4508:  # what waited for a page that took nothing is free now
                    memory.give_back()
            case Reserve():
                assert self._group is not None
                reserving = self._group.create_task(self._reserve(effect), name="relay reservation")
                self._reserving.add(reserving)
                reserving.add_done_callback(self._reserving.discard)
            case RunTool():
                assert self._group is not None
                self._group.create_task(self._run_tool(effect), name=f"tool {effect.name}")
            case End(reason, code):
                logger.info("session %s ended: %s", self.session_id, reason)
                self._send_at_once = None
                self._hang_up()
                if self.link is not None:
                    self.link.close(code)
                    self.link = None
                self.finished.set()
            case KeepAudio() | KeepSpan():
                self.recorder.put(effect)
            case record:
                if isinstance(record, RecordAudio):
                    self.recorder.begin()
                self.journal.put(Entry(self.session_id, self.conversation_id, record, self._saved))

    def _to_upstream(self, audio: SendUpstreamAudio) -> None:
        """At once when nothing waits before it, through the queue otherwise."""
        if self._send_at_once is not None and self._send_at_once(upstream_events.append_json(audio.pcm)):
            return
        self._send_at_once = None
        before = self.uplink.dropped_bytes
        self.uplink.put_audio(audio.pcm, audio.keep)
        self.session.note_dropped(self.uplink.dropped_bytes - before)
        self._uplink_wake.set()

    def _to_browser(self, effect: SendBrowser | bytes) -> None:
        link = self.link
        if link is None:
            return  # a page that comes back gets a snapshot and its audio again
        if isinstance(effect, bytes):
            link.put_audio(effect)
        else:
            link.put_message(effect.message, effect.overtakes)
        if link.outbox.overfull:
            self.link = None
            link.close(4508)
            self.perform(self.session.browser_gone(self.now_ms()))

    def _saved(self, item_id: str, message_id: str, status: str) -> None:
        self.perform(self.session.saved(item_id, message_id, status, self.now_ms()))

    # ---- tasks -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until the session ends. Whatever breaks ends the session; nothing is left open."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                upstream = group.create_task(self._keep_upstream(), name="relay upstream")
                await self.finished.wait()
                for task in [upstream, *self._reserving, *([self._warming] if self._warming else [])]:
                    task.cancel()
        except BaseExceptionGroup as group_error:
            for error in group_error.exceptions:
                self._tell_broken(error)
        finally:
            self._group = None
            if not self.finished.is_set():
                self.end("internal")
            if self._timer is not None:
                self._timer.cancel()

    def _tell_broken(self, error: BaseException) -> None:
        logger.error("session %s broke: %s", self.session_id, type(error).__name__, exc_info=error)

    def _keep_time(self) -> None:
        """Have `_on_time` called at the session's next deadline. A later one waits for the timer that is armed."""
        deadline = self.session.deadline_ms()
        if deadline is None or (self._timer is not None and self._armed_ms <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ms = deadline
        self._timer = self._loop.call_later(max(0, deadline - self.now_ms()) / 1000, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        try:
            deadline = self.session.deadline_ms()
            if deadline is not None and deadline <= self.now_ms():
                self.perform(self.session.tick(self.now_ms()))
            else:
                self._keep_time()
        except Exception as error:
            self._tell_broken(error)
            try:
                self.end("internal")
            finally:
                self.finished.set()

    def _hang_up(self) -> None:
        self._hung_up = True
        if self._upstream is not None:
            self._upstream.stop()

    async def _keep_upstream(self) -> None:
        """Dial when asked to, carry events both ways, and tell the session once how each connection ended."""
        while True:
            await self._dial_wanted.wait()
            self._dial_wanted.clear()
            if self._dial_after_ms:
                await asyncio.sleep(self._dial_after_ms / 1000)
            self._hung_up = False
            self.uplink.clear()
            error = self.breaker.refuses(self._loop.time())
            if error is None:
                error = await self._connect_once()
            if not self._hung_up:
                self.perform(self.session.upstream_closed(error, self.now_ms()))

    async def _connect_once(self) -> UpstreamError:
        """One connection from dial to end; returns why it ended."""
        opened = False
        began_s = self._loop.time()
        try:
            async with self.dial(self.session.config) as link:
                opened = True
                metrics.upstream_connect_seconds.observe(self._loop.time() - began_s)
                self.breaker.succeeded()
                self.perform(self.session.upstream_opened(self.now_ms()))
                error = await self._exchange(link)
                while self._swap and self._warm is not None:
                    assert self._group is not None
                    self._group.create_task(link.close(), name="relay old upstream")
                    self._swap = False
                    (link, over), self._warm = self._warm, None
                    self._hung_up = False
                    try:
                        error = await self._exchange(link)
                    finally:
                        over.set()
            return error
        except UpstreamError as error:
            if not opened:
                self.breaker.failed(error, self._loop.time())
            return error

    async def _warm_upstream(self, events: tuple[dict[str, Any], ...]) -> None:
        """Have the next upstream ready beside the live one, and hold it until it is over or not wanted."""
        over = Bell()
        try:
            async with self.dial(self.session.config) as link:
                async with asyncio.timeout(self.session.config.configure_deadline_ms / 1000):
                    for event in events:
                        await link.send(json.dumps(event, ensure_ascii=False).encode())
                    await link.read(lambda raw: _type_of(raw) == "session.updated")
                self._warm = (link, over)
                self.perform(self.session.upstream_warmed(self.now_ms()))
                if self._swap:
                    await over.wait()
                else:
                    self._warm = None
        except (UpstreamError, TimeoutError):
            self._warm = None
            if not over.is_set():
                self.perform(self.session.warming_failed(self.now_ms()))

    async def _exchange(self, link: UpstreamLink) -> UpstreamError:
        """Read and write until the connection ends or is to be hung up; returns why."""
        writer = asyncio.create_task(self._write_upstream(link), name="relay upstream writer")
        writer.add_done_callback(lambda _: link.stop())
        self._upstream = link
        try:
            if not self._hung_up:
                await link.read(self._upstream_said)
        except UpstreamError as error:
            return error
        finally:
            self._upstream = None
            writer.cancel()
            await asyncio.wait({writer})
        if not writer.cancelled() and (failure := writer.exception()) is not None:
            if isinstance(failure, UpstreamError):
                return failure
            raise failure
        return UpstreamLost()

    def _upstream_said(self, raw: bytes) -> bool | None:
        """One message of the upstream. True: it is given up, and what it still says is not heard."""
        if self._hung_up:
            return True
        speech = upstream_events.speech_of(raw)
        if speech is not None:
            effects = self.session.upstream_speech(*speech, self.now_ms())
            if effects is None:
                self._to_browser(speech[2])
                return None
        else:
            try:
                event = upstream_events.parse(raw)
            except upstream_events.Malformed:
                effects = self.session.upstream_malformed(self.now_ms())
            else:
                effects = self.session.upstream_event(event, self.now_ms())
        self.perform(effects)
        return None

    async def _write_upstream(self, link: UpstreamLink) -> None:
        """Send what waits; while nothing does, audio may go past the queue."""
        try:
            while not self._swap:  # from then on, what waits is for the next upstream
                text = self.uplink.pop()
                if text is not None:
                    await link.send(text)
                    continue
                self._uplink_wake.clear()
                self._send_at_once = link.try_send
                await self._uplink_wake.wait()
        finally:
            self._send_at_once = None

    async def _reserve(self, wish: Reserve) -> None:
        verdict = await self.reserve(self.session_id, wish) if self.reserve else Verdict.UNLIMITED
        self.perform(self.session.reserved(wish.reference, verdict, self.now_ms()))

    async def _run_tool(self, call: RunTool) -> None:
        output, ok = await run_tool(call.name, call.arguments, user_id=self.user_id)
        self.perform(self.session.tool_result(call.name, call.call_id, output, ok, self.now_ms()))


def _type_of(raw: bytes) -> str | None:
    try:
        event = upstream_events.parse(raw)
    except upstream_events.Malformed:
        return None
    return str(event["type"])
