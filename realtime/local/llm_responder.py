"""Answers from any OpenAI-compatible chat endpoint, streamed a sentence at a time. Keeps no state between answers."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from realtime.local.assistant.sentences import Sentences
from realtime.local.effects import AnswerRequest, Line
from realtime.local.engine import Call, Fail, Piece, Say
from realtime.local.errors import BadOption

log = logging.getLogger("realtime.local")

DEADLINE_S = 60.0  # without a byte from the endpoint
Entry = dict[str, Any] | Exception | None  # what the reading thread hands over; None is the end
_STILL_THERE = "The user has been silent for a while. Ask briefly whether they are still there."
_SPOKEN = "Your answer is spoken aloud: a few short sentences, no lists, no markup, no emoji."
_ROLES = {"user": "user", "assistant": "assistant", "system": "system"}


class LlmResponder:
    """`url` is the base (`http://127.0.0.1:8080/v1`); `/chat/completions` is added to it.

    `sampling`: further fields of the request's body, such as `temperature`.
    """

    def __init__(self, url: str, model: str, key: str | None, sampling: dict[str, Any] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadOption(
                "LOCAL_LLM_URL must be an http or https address, such as http://127.0.0.1:8080/v1"
            )
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
        self._path = f"{parts.path.rstrip('/').removesuffix('/chat/completions')}/chat/completions"
        self._model, self._key, self._sampling = model, key, sampling or {}

    async def answer(self, request: AnswerRequest) -> AsyncGenerator[Piece, None]:
        body = json.dumps({**chat_request(request, self._model), **self._sampling}).encode()
        sentences, calls, said = Sentences(), _Calls(), False
        try:
            async with contextlib.aclosing(self._stream(body)) as chunks:
                async for chunk in chunks:
                    delta = (chunk.get("choices") or [{}])[0].get("delta") or {}
                    calls.add(delta.get("tool_calls") or [])
                    content = delta.get("content") or ""
                    if content and not request.speaks:
                        # Read, not heard: line breaks and markup stay as the model wrote them.
                        said = True
                        yield Say(content, glued=True)
                        continue
                    for sentence in sentences.add(content):
                        said = True
                        yield Say(sentence)
        except _EndpointFailed as problem:
            log.warning("the chat endpoint failed: %s", problem)
            yield Fail(
                "server_error", "server_error", f"The language model at LOCAL_LLM_URL failed: {problem}."
            )
            return
        for sentence in sentences.rest():
            said = True
            yield Say(sentence)
        for call in calls.ready():
            said = True
            yield call
        if not said:
            yield Fail(
                "server_error", "server_error", "The language model at LOCAL_LLM_URL gave an empty answer."
            )

    async def _stream(self, body: bytes) -> AsyncGenerator[dict[str, Any], None]:
        """The endpoint's server-sent events. A thread reads them; closing the iterator closes its socket."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Entry] = asyncio.Queue()
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=DEADLINE_S)

        def put(entry: Entry) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(queue.put_nowait, entry)

        # http.client gives the socket away with the answer, so it is remembered here.
        sockets: list[socket.socket] = []
        reader = threading.Thread(
            target=self._read, args=(connection, body, put, sockets), name="chat endpoint", daemon=True
        )
        reader.start()
        try:
            while (entry := await queue.get()) is not None:
                if isinstance(entry, Exception):
                    raise entry
                yield entry
        finally:
            # The thread may be in the middle of a read: shutting down wakes it, closing alone would not.
            for open_socket in sockets:
                with contextlib.suppress(OSError):
                    open_socket.shutdown(socket.SHUT_RDWR)

    def _read(
        self,
        connection: http.client.HTTPConnection,
        body: bytes,
        put: Callable[[Entry], None],
        sockets: list[socket.socket],
    ) -> None:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            connection.connect()
            sockets.append(connection.sock)
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            if response.status != 200:
                put(_EndpointFailed(f"it answered with status {response.status}"))
                return
            for chunk in _events(response):
                put(chunk)
            put(None)
        except TimeoutError:
            put(_EndpointFailed(f"it was silent for {DEADLINE_S:.0f} seconds"))
        except (OSError, http.client.HTTPException, AttributeError):
            # AttributeError: http.client's way of saying that the socket was closed under its feet.
            put(_EndpointFailed("it cannot be reached or closed the connection"))
        except ValueError:
            put(_EndpointFailed("it sent something that is no chat completion"))
        finally:
            connection.close()


class _EndpointFailed(Exception):
    """The text says what happened, without anything that was said."""


def chat_request(request: AnswerRequest, model: str) -> dict[str, Any]:
    """The body for `/chat/completions`."""
    system = f"{request.instructions}\n{_SPOKEN}" if request.speaks else request.instructions
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
    messages += [_message(line) for line in request.lines if line.text]
    if request.prompted_by == "silence":
        messages.append(
            {
                "role": "system",
                "content": _STILL_THERE,
            }
        )
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
    functions = [tool for tool in request.tools if tool["type"] == "function"]
    if functions and request.tool_choice != "none":
        fields = ("name", "description", "parameters")
        body["tools"] = [
            {
                "type": "function",
                "function": {name: tool[name] for name in fields if tool.get(name) is not None},
            }
            for tool in functions
        ]
        choice = request.tool_choice
        body["tool_choice"] = (
            {"type": "function", "function": {"name": choice["name"]}}
            if isinstance(choice, dict) and "name" in choice
            else choice
        )
    return body


def _message(line: Line) -> dict[str, Any]:
    if line.role == "tool_call":
        function = {"name": line.name, "arguments": line.text}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": line.call_id, "type": "function", "function": function}],
        }
    if line.role == "tool_output":
        return {"role": "tool", "tool_call_id": line.call_id, "content": line.text}
    return {"role": _ROLES[line.role], "content": line.text}


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in response:
        if not line.startswith(b"data:"):
            continue
        data = line[len(b"data:") :].strip()
        if data == b"[DONE]":
            return
        chunk = json.loads(data)
        if not isinstance(chunk, dict):
            raise ValueError
        yield chunk


@dataclass(slots=True)
class _Calls:
    """Function calls put together from their fragments."""

    _by_index: dict[int, dict[str, str]] = field(default_factory=dict)

    def add(self, fragments: list[dict[str, Any]]) -> None:
        for fragment in fragments:
            call = self._by_index.setdefault(fragment.get("index", 0), {"name": "", "arguments": ""})
            function = fragment.get("function") or {}
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""

    def ready(self) -> Iterator[Call]:
        for _, call in sorted(self._by_index.items()):
            if call["name"]:
                yield Call(call["name"], call["arguments"] or "{}")
