"""Who decides what is said: the interface, and the choice between rules and a language model. Says nothing itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from realtime.local.effects import AnswerRequest
from realtime.local.engine import Piece
from realtime.local.options import LocalConfig


class Responder(Protocol):
    def answer(self, request: AnswerRequest) -> AsyncGenerator[Piece, None]:
        """Text (a sentence or a few at a time), function calls, or a failure. No audio."""


def make_responder(config: LocalConfig) -> Responder:
    if config.llm_url:
        from realtime.local.llm_responder import LlmResponder

        return LlmResponder(config.llm_url, config.llm_model, config.llm_key)
    from realtime.local.rules_responder import RulesResponder

    return RulesResponder()
