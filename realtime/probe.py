"""The probe: one conversation with the voice service, a stage at a time, each timed. Prints and stores nothing.

It says what the relay says (the same builders, the same address) but dials by itself, so that name, TCP, TLS and
upgrade can be told apart. What is wrong and what to do about it is in `probe_faults.py`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from realtime import upstream
from realtime import upstream_events as up
from realtime.audio import decode_base64
from realtime.conf import RelayConfig
from realtime.exceptions import UpstreamUnreachable
from realtime.hearing import tells_probabilities
from realtime.probe_faults import CODES, STAGES, Report, Stage, StageFailed, fault_of_close, fault_of_status
from realtime.probe_faults import word_match as match_of
from realtime.probe_sentence import Sentence

QUESTION = "Say hello in three words."
CHUNK_BYTES = 4_800  # 100 ms
MATCH_WANTED = 0.5
Progress = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each step may take, in s."""

    connect_s: float = 8.0
    event_s: float = 10.0
    answer_s: float = 30.0


class Probe:
    """One run. `until` names the last stage to run; what it needs runs first. `sentence` None: no spoken turn."""

    def __init__(
        self,
        config: RelayConfig,
        *,
        sentence: Sentence | None = None,
        until: str = STAGES[-1],
        deadlines: Deadlines | None = None,
        progress: Progress = lambda stage: None,
    ) -> None:
        # The probe decides itself when its sentence is over: no silence has to be waited for.
        self.config = replace(config, turn_detection=None, modality="voice", tools=(), history=())
        self.sentence = sentence
        self.until = until
        self.deadlines = deadlines or Deadlines()
        self.progress = progress
        self.report = Report(config.upstream_url, config.model)
        self.unknown: Counter[str] = Counter()
        self.rate_limits: list[dict[str, Any]] = []

    async def run(self) -> Report:
        """Every stage up to the first fault."""
        steps: dict[str, Callable[[], Awaitable[dict[str, Any] | None]]] = {
            "name_lookup": self._name_lookup,
            "tcp": self._tcp,
            "tls": self._tls,
        }
        for name, step in steps.items():
            if not await self._stage(name, step):
                return self.report
        try:
            async with self._upgraded() as link:
                for name, step in _Talk(self, link).steps().items():
                    if self.until == "upgrade" or not await self._stage(name, step):
                        break
        except StageFailed:
            pass  # of the upgrade; it is in the report
        if self.unknown:
            self.report.warnings.append(
                f"events of unknown types came, and were ignored: {self.unknown.total()}, of types: {len(self.unknown)}"
            )
        self.report.warnings += [f"{stage.name} was slow" for stage in self.report.stages if stage.slow]
        return self.report

    async def _stage(self, name: str, step: Callable[[], Awaitable[dict[str, Any] | None]]) -> bool:
        """Run one stage and note it; whether the next one may run."""
        began = perf_counter()
        stage = Stage(name, True, 0.0)
        try:
            detail = await step()
            if detail is None:
                stage.ok = None  # there is nothing of it here
            else:
                stage.detail = detail
        except StageFailed as failed:
            stage.ok, stage.fault, stage.detail = False, failed.fault, failed.detail
        except TimeoutError:
            stage.ok, stage.fault = False, "no_answer"
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            stage.ok, stage.fault = False, fault_of_close(code, closed.rcvd.reason if closed.rcvd else "")
            stage.detail = {"close_code": code}
        except up.Malformed:
            stage.ok, stage.fault = False, "malformed"
        stage.ms = (perf_counter() - began) * 1000 if stage.ok is not None else 0.0
        self.report.stages.append(stage)
        self.progress(stage)
        return stage.ok is not False and name != self.until

    # ---- the way there -----------------------------------------------------------------------------------

    @property
    def _host_port(self) -> tuple[str, int, bool]:
        parts = urlsplit(self.config.upstream_url)
        secure = parts.scheme == "wss"
        return parts.hostname or "", parts.port or (443 if secure else 80), secure

    async def _name_lookup(self) -> dict[str, Any]:
        try:
            upstream.address(self.config)
            host, port, _secure = self._host_port
        except (UpstreamUnreachable, ValueError):
            raise StageFailed("bad_address") from None
        try:
            async with asyncio.timeout(self.deadlines.connect_s):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise StageFailed("proxy_needed" if self._proxy() else "name_lookup") from None
        return {"addresses": len({info[4][0] for info in found})}

    def _proxy(self) -> bool:
        """Whether this machine is told to use a proxy for such addresses."""
        host, _port, secure = self._host_port
        return (
            secure and bool({"https", "all"} & getproxies().keys()) and host not in ("localhost", "127.0.0.1")
        )

    async def _tcp(self) -> dict[str, Any]:
        await self._connect_and_leave(None)
        return {}

    async def _tls(self) -> dict[str, Any] | None:
        _host, _port, secure = self._host_port
        if not secure:
            return None
        try:
            version = await self._connect_and_leave(ssl.create_default_context())
        except ssl.SSLCertVerificationError:
            raise StageFailed("tls_untrusted") from None
        except (ssl.SSLError, ConnectionError):
            raise StageFailed("tls_failed") from None
        return {"version": version}

    async def _connect_and_leave(self, context: ssl.SSLContext | None) -> str:
        """A connection of its own, closed at once; returns the TLS version."""
        host, port, _secure = self._host_port
        try:
            async with asyncio.timeout(self.deadlines.connect_s):
                _reader, writer = await asyncio.open_connection(host, port, ssl=context)
        except ssl.SSLError:
            raise
        except TimeoutError:
            raise StageFailed("proxy_needed" if self._proxy() else "tcp_unreachable") from None
        except ConnectionRefusedError:
            raise StageFailed("proxy_needed" if self._proxy() else "tcp_refused") from None
        except OSError as error:
            if context is not None:
                raise ConnectionError(type(error).__name__) from None
            raise StageFailed("proxy_needed" if self._proxy() else "tcp_unreachable") from None
        found = writer.get_extra_info("ssl_object")
        writer.close()
        return str(found.version()) if found else ""

    @asynccontextmanager
    async def _upgraded(self) -> AsyncIterator[ClientConnection]:
        """The open socket; the stage "upgrade" is noted. Raises StageFailed when it is not to be had."""
        opened: list[ClientConnection] = []

        async def dial() -> dict[str, Any]:
            opened.append(await self._dial())
            return {"status": 101}

        await self._stage("upgrade", dial)
        if not opened:
            raise StageFailed(self.report.fault)
        try:
            yield opened[0]
        finally:
            await opened[0].close()

    async def _dial(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self.config.api_key[:]}"} if self.config.api_key else {}
        try:
            return await upstream.NoRedirect(
                upstream.address(self.config),
                additional_headers=headers,
                user_agent_header="voiceproject-probe",
                compression=None,
                proxy=None,
                open_timeout=self.deadlines.connect_s,
                close_timeout=upstream.CLOSE_TIMEOUT_S,
                ping_interval=None,
                max_size=upstream.MAX_MESSAGE_BYTES,
            )
        except InvalidStatus as refused:
            answer = refused.response
            detail: dict[str, Any] = {"status": answer.status_code}
            if (wait_s := upstream.retry_after_s(answer.headers.get("Retry-After"))) is not None:
                detail["retry_after_s"] = wait_s
            raise StageFailed(fault_of_status(answer.status_code), **detail) from None
        except ssl.SSLError:
            raise StageFailed("tls_failed") from None
        except InvalidHandshake:
            raise StageFailed("proxy_answered") from None
        except TimeoutError:
            raise StageFailed("no_answer") from None
        except OSError:
            raise StageFailed("lost") from None


class _Talk:
    """The stages on the open socket."""

    def __init__(self, probe: Probe, link: ClientConnection) -> None:
        self.probe = probe
        self.link = link

    def steps(self) -> dict[str, Callable[[], Awaitable[dict[str, Any] | None]]]:
        """The stages in order."""
        return {
            "session_created": self._created,
            "session_updated": self._updated,
            "text_turn": self._text_turn,
            "spoken_turn": self._spoken_turn,
            "rate_limits": self._rate_limits,
            "close": self._close,
        }

    async def _say(self, event: dict[str, Any]) -> None:
        await self.link.send(json.dumps(event))

    async def _next(self) -> dict[str, Any]:
        """The next event. Errors that end everything are faults; limits are noted."""
        event = up.parse(await self.link.recv(decode=False))
        if event["type"] == "rate_limits.updated":
            self._note_limits(event)
        elif event["type"] == "error":
            code = up.word_of(up.object_or_empty(event, "error"), "code") or ""
            if code in CODES:
                raise StageFailed(CODES[code], code=code)
        elif not event["type"].startswith(KNOWN):
            self.probe.unknown[event["type"][:60]] += 1
        return event

    async def _until(self, *kinds: str, within_s: float | None = None) -> dict[str, Any]:
        async with asyncio.timeout(within_s or self.probe.deadlines.event_s):
            while (event := await self._next())["type"] not in kinds:
                pass
        return event

    def _note_limits(self, event: dict[str, Any]) -> None:
        rows = event.get("rate_limits")
        known = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        self.probe.rate_limits = [
            {key: row[key] for key in ("name", "limit", "remaining", "reset_seconds") if key in row}
            for row in known[:4]
        ]

    async def _created(self) -> dict[str, Any]:
        await self._until("session.created")
        return {}

    async def _updated(self) -> dict[str, Any]:
        config = self.probe.config
        await self._say(up.session_update(config, "probe_configure"))
        event = await self._until("session.updated", "error")
        if event["type"] == "error" and tells_probabilities(config):  # a call does without it, too
            await self._say(up.session_update(replace(config, asks_how_sure=False), "probe_without"))
            event = await self._until("session.updated", "error")
        if event["type"] == "error":
            raise StageFailed("config_refused", code=up.word_of(event["error"], "code"))
        return {}

    async def _text_turn(self) -> dict[str, Any]:
        await self._say(up.create_text_item("user", QUESTION, "probe_text"))
        began = perf_counter()
        create = up.create_response("probe_text_answer")
        await self._say({**create, "response": {"output_modalities": ["text"]}})
        first_ms: float | None = None
        async with asyncio.timeout(self.probe.deadlines.answer_s):
            while True:
                event = await self._next()
                if event["type"] == "response.output_text.delta" and first_ms is None:
                    first_ms = (perf_counter() - began) * 1000
                if event["type"] == "response.done":
                    break
                self._refuse_error(event)
        self._must_be_complete(event)
        if first_ms is None:
            raise StageFailed("answer_failed", text=False)
        return {"first_token_ms": round(first_ms, 1)}

    async def _spoken_turn(self) -> dict[str, Any] | None:
        sentence = self.probe.sentence
        if sentence is None:
            return None
        for start in range(0, len(sentence.pcm), CHUNK_BYTES):
            await self.link.send(up.append_json(sentence.pcm[start : start + CHUNK_BYTES]), text=True)
        await self._say(up.commit())
        began = perf_counter()
        await self._say(up.create_response("probe_spoken_answer"))
        first_ms: float | None = None
        audio_bytes, understood, done = 0, None, False
        async with asyncio.timeout(self.probe.deadlines.answer_s):
            while not done or understood is None:
                event = await self._next()
                kind = event["type"]
                if kind == "response.output_audio.delta":
                    first_ms = first_ms or (perf_counter() - began) * 1000
                    audio_bytes += self._audio_bytes(event)
                elif kind == "conversation.item.input_audio_transcription.completed":
                    understood = up.text_of(event, "transcript")
                elif kind == "conversation.item.input_audio_transcription.failed":
                    raise StageFailed("not_transcribed")
                elif kind == "response.done":
                    self._must_be_complete(event)
                    done = True
                self._refuse_error(event)
        if first_ms is None:
            raise StageFailed("no_audio")
        detail: dict[str, Any] = {"first_audio_ms": round(first_ms, 1), "audio_ms": audio_bytes // 48}
        if sentence.words:
            detail["transcript_match"] = round(match_of(sentence.words, understood), 2)
            if detail["transcript_match"] < MATCH_WANTED:
                raise StageFailed("transcript_differs", **detail)
        return detail

    @staticmethod
    def _audio_bytes(event: dict[str, Any]) -> int:
        try:
            return len(decode_base64(up.text_of(event, "delta", up.MAX_EVENT_BYTES)))
        except ValueError:
            raise up.Malformed("delta") from None

    @staticmethod
    def _refuse_error(event: dict[str, Any]) -> None:
        if event["type"] == "error":
            error = up.object_or_empty(event, "error")
            raise StageFailed("answer_failed", code=up.word_of(error, "code"))

    @staticmethod
    def _must_be_complete(event: dict[str, Any]) -> None:
        response = up.object_of(event, "response")
        status = up.word_of(response, "status")
        if status == "completed":
            return
        error = up.object_or_empty(up.object_or_empty(response, "status_details"), "error")
        code = up.word_of(error, "code")
        raise StageFailed(CODES.get(code or "", "answer_failed"), status=status, code=code)

    async def _rate_limits(self) -> dict[str, Any] | None:
        return {"limits": self.probe.rate_limits} if self.probe.rate_limits else None

    async def _close(self) -> dict[str, Any]:
        await self.link.close()
        code = self.link.close_code
        if code != 1000:
            raise StageFailed("unclean_close", close_code=code)
        return {"close_code": code}


# What an event's type begins with when it belongs to the protocol.
KNOWN = (
    *("session.", "conversation.item.", "conversation.created", "input_audio_buffer.", "rate_limits."),
    *("response.created", "response.done", "response.output_", "response.content_part."),
    *("response.function_call_arguments.", "response.mcp_call", "mcp_list_tools.", "error"),
)


async def run_probe(config: RelayConfig, **options: Any) -> Report:
    """One run, from configuration to report. Options as those of `Probe`."""
    return await Probe(config, **options).run()
