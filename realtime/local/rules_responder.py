"""The default assistant: fixed rules over what was said. First slice."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator

from realtime.local.effects import AnswerRequest
from realtime.local.engine import Piece, Say


class RulesResponder:
    async def answer(self, request: AnswerRequest) -> AsyncIterator[Piece]:
        said = next((line.text for line in reversed(request.lines) if line.role == "user"), "")
        if "time" in said.lower():
            yield Say(f"It is {datetime.datetime.now():%-I:%M %p}.")
        elif not said:
            yield Say("Sorry, I did not catch that. Could you say it again?")
        else:
            yield Say(
                f"I heard you say: {said.rstrip('.?!')}. I am the local assistant, a small set of rules without a language model."
            )
