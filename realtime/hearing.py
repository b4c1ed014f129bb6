"""Whether what a recogniser wrote down is to be believed, by what it says of itself. Pure.

A doubt is told to the page, which asks the person; nothing else follows from it.
"""

from __future__ import annotations

import math
import re
from typing import Any

from realtime.conf import RelayConfig

# Of the local recogniser, on the mean probability of a sentence's tokens: from 0.70 up every sentence was right, from
# 0.54 down every one was wrong (six sentences under more and more noise). The provider's models are held to the same.
SURE = 0.6
LOGPROBS = "item.input_audio_transcription.logprobs"
# Those that the provider says tell them. Another model refuses the whole configuration when it is asked.
_TELLS = re.compile(r"gpt-4o-(mini-)?transcribe(-\d{4}-\d\d-\d\d)?")


def tells_probabilities(config: RelayConfig) -> bool:
    """Whether the recogniser of this session is asked how sure it is."""
    tells = config.is_local or _TELLS.fullmatch(config.transcription_model) is not None
    return tells and config.asks_how_sure and config.modality == "voice"


def is_doubtful(completed: dict[str, Any], expected_language: str) -> bool:
    """Of an `input_audio_transcription.completed`: its words were guessed, or of a language that nobody speaks.

    `expected_language` is the one that the person named as theirs, or "". What is missing or malformed raises no doubt.
    """
    sure = _probability(completed.get("logprobs"))
    return (sure is not None and sure < SURE) or _surprises(completed.get("languages"), expected_language)


def _probability(logprobs: Any) -> float | None:
    """The geometric mean of the tokens' probabilities; None when they are not told."""
    if not isinstance(logprobs, list):
        return None
    told = [entry.get("logprob") if isinstance(entry, dict) else None for entry in logprobs]
    known = [float(value) for value in told if isinstance(value, int | float) and value <= 0]
    return math.exp(sum(known) / len(known)) if known and len(known) == len(told) else None


def _surprises(languages: Any, expected: str) -> bool:
    if not isinstance(languages, list) or not expected:
        return False
    codes = [entry.get("code") if isinstance(entry, dict) else None for entry in languages]
    found = {code.lower().split("-")[0] for code in codes if isinstance(code, str)}
    # Codes of three letters name the same languages otherwise: they say nothing here.
    return bool(found) and all(len(code) == 2 for code in found) and expected.split("-")[0] not in found
