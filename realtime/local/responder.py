"""Who decides what is said: the interface, and the choice between rules and a language model. Says nothing itself."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from realtime.local.effects import AnswerRequest
from realtime.local.engine import Piece
from realtime.local.options import LocalConfig

log = logging.getLogger("realtime.local")


class Responder(Protocol):
    def answer(self, request: AnswerRequest) -> AsyncGenerator[Piece, None]:
        """Text (a sentence or a few at a time), function calls, or a failure. No audio."""


def make_responder(config: LocalConfig, report: Callable[[str], None] = log.info) -> Responder:
    """The one that the options ask for. `report` gets a line about each model that is loaded."""
    if config.llm_url:
        from realtime.local.llm_responder import LlmResponder

        return LlmResponder(config.llm_url, config.llm_model, config.llm_key)
    from realtime.local.rules_responder import RulesResponder

    if config.packaged_model:
        from realtime.local.packaged_model import PackagedModel

        return RulesResponder(beyond=PackagedModel(report))
    return RulesResponder()
