"""Answers through a chat endpoint. The endpoint is a small HTTP server in this process; nothing else is faked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from realtime.local.assistant.sentences import Sentences
from realtime.local.audio_formats import PCM
from realtime.local.effects import AnswerRequest, Line
from realtime.local.engine import Call, Fail, Piece, Say
from realtime.local.errors import BadOption
from realtime.local.llm_responder import LlmResponder, chat_request
from tests.local.pure_session import PureSession

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


class Endpoint:
    """Answers every POST with `status` and `chunks`; holds after `hold_after` chunks until `released`."""

    def __init__(self) -> None:
        self.status = 200
        self.chunks: list[bytes] = []
        self.hold_after: int | None = None
        self.released = threading.Event()
        self.requests: list[tuple[str, str | None, Any]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append((self.path, self.headers["Authorization"], body))
                self.send_response(endpoint.status)
                self.end_headers()
                for index, chunk in enumerate(endpoint.chunks):
                    if index == endpoint.hold_after:
                        endpoint.released.wait(30)
                    try:
                        self.wfile.write(chunk)
                        self.wfile.flush()
                    except OSError:
                        return

            def log_message(self, *args: Any) -> None:
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def say(self, *texts: str) -> None:
        self.chunks = [sse({"choices": [{"delta": {"content": text}}]}) for text in texts] + [
            b"data: [DONE]\n\n"
        ]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    yield server
    server.close()


def request(**more: Any) -> AnswerRequest:
    fields: dict[str, Any] = {
        "response_id": "resp_1",
        "lines": (Line("user", "Hello."),),
        "instructions": "Be kind.",
        "tools": (),
        "tool_choice": "auto",
        "speaks": True,
        "voice": "marin",
        "speed": 1.0,
        "format": PCM,
        "turn_index": 0,
    }
    return AnswerRequest(**{**fields, **more})


async def pieces(endpoint: Endpoint, key: str | None = None, **more: Any) -> list[Piece]:
    responder = LlmResponder(endpoint.url, "small", key)
    return [piece async for piece in responder.answer(request(**more))]


async def test_the_answer_comes_in_sentences(endpoint: Endpoint) -> None:
    endpoint.say("Hello", " there. How", " are you? I am", " fine")
    assert await pieces(endpoint) == [Say("Hello there."), Say("How are you?"), Say("I am fine")]


async def test_an_answer_that_is_read_keeps_its_lines(endpoint: Endpoint) -> None:
    endpoint.say("Two ", "things:\n", "- on", "e\n- two")
    session = PureSession()
    session.configure(output_modalities=["text"])
    session.type_message("Which?")
    session.send("response.create")
    for piece in await pieces(endpoint, speaks=False):
        assert isinstance(piece, Say)
        response_id = session.requests()[-1].response_id
        session.take(session.session.answer_text(response_id, piece.text, 0.0, piece.phase, piece.glued))
    done = session.finish()
    assert done[0]["text"] == "Two things:\n- one\n- two"


async def test_a_sentence_is_handed_on_before_the_rest_is_known(endpoint: Endpoint) -> None:
    endpoint.say("First one. ", "Second one.")
    endpoint.hold_after = 1
    answer = LlmResponder(endpoint.url, "small", None).answer(request())
    assert await anext(answer) == Say("First one.")
    endpoint.released.set()
    assert [piece async for piece in answer] == [Say("Second one.")]


async def test_an_abandoned_answer_lets_go_of_the_endpoint(endpoint: Endpoint) -> None:
    endpoint.say("First one. ", "Second one.")
    endpoint.hold_after = 1
    answer = LlmResponder(endpoint.url, "small", None).answer(request())
    await anext(answer)
    (reader,) = [thread for thread in threading.enumerate() if thread.name == "chat endpoint"]
    await answer.aclose()  # type: ignore[attr-defined]
    reader.join(5)  # the endpoint itself is still held
    assert not reader.is_alive()


async def test_a_function_call_is_put_together(endpoint: Endpoint) -> None:
    parts: list[dict[str, Any]] = [
        {"index": 0, "id": "x", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 0, "function": {"arguments": ' "Bonn"}'}},
    ]
    endpoint.chunks = [sse({"choices": [{"delta": {"tool_calls": [part]}}]}) for part in parts]
    assert await pieces(endpoint, tools=(TOOL,)) == [Call("weather", '{"city": "Bonn"}')]


async def test_the_key_and_the_path_are_sent(endpoint: Endpoint) -> None:
    endpoint.say("Yes.")
    await pieces(endpoint, key="secret")
    ((path, authorization, body),) = endpoint.requests
    assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
    assert (body["model"], body["stream"]) == ("small", True)


@pytest.mark.parametrize(
    ("status", "chunks", "part"),
    [
        (500, [], "status 500"),
        (200, [b"data: nonsense\n\n"], "no chat completion"),
        (200, [b"data: [1]\n\n"], "no chat completion"),
        (200, [b"data: [DONE]\n\n"], "empty answer"),
    ],
)
async def test_a_failing_endpoint_fails_the_answer_with_a_reason(
    endpoint: Endpoint, status: int, chunks: list[bytes], part: str
) -> None:
    endpoint.status, endpoint.chunks = status, chunks
    (failure,) = await pieces(endpoint)
    assert isinstance(failure, Fail)
    assert part in failure.message


async def test_an_endpoint_that_is_not_there_fails_the_answer(endpoint: Endpoint) -> None:
    url = endpoint.url
    endpoint.close()
    (failure,) = [piece async for piece in LlmResponder(url, "small", None).answer(request())]
    assert isinstance(failure, Fail)
    assert "cannot be reached" in failure.message


def test_the_conversation_becomes_chat_messages() -> None:
    lines = (
        Line("user", "Weather?"),
        Line("tool_call", '{"city": "Bonn"}', "weather", "call_1"),
        Line("tool_output", "sunny", call_id="call_1"),
        Line("assistant", "It is sunny."),
        Line("user", ""),
    )
    body = chat_request(
        request(lines=lines, tools=(TOOL,), tool_choice={"type": "function", "name": "weather"}), "small"
    )
    assert [message["role"] for message in body["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert body["messages"][2]["tool_calls"][0]["id"] == body["messages"][3]["tool_call_id"] == "call_1"
    assert body["tools"] == [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_an_address_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(BadOption):
        LlmResponder("localhost:8080", "small", None)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith paid 3.50 euros. Good!", ["Dr. Smith paid 3.50 euros.", "Good!"]),
        ("One line\nanother line", ["One line", "another line"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("   ", []),
    ],
)
def test_sentences_do_not_depend_on_how_the_text_is_cut(text: str, sentences: list[str]) -> None:
    for size in (1, 3, 100):
        cutter = Sentences()
        found = [
            sentence for at in range(0, len(text), size) for sentence in cutter.add(text[at : at + size])
        ]
        assert found + list(cutter.rest()) == sentences


def test_text_without_a_full_stop_is_cut_between_words() -> None:
    found = list(Sentences().add("word " * 80))
    assert len(found) == 1
    assert found[0].endswith("word")
