"""Tokens and seconds to money: one rate per model, cached parts apart, in exact decimals. Pure; guesses nothing.

Cached tokens are a part of the input tokens, not in addition to them: (input - cached) is billed at the input price and
cached at the cached price, per modality, as the provider documents it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

MILLION = Decimal(1_000_000)
USD_STEP = Decimal("0.00000001")
FREE_ENGINE = "local"
RESPONSE, TRANSCRIPTION, SESSION_TIME = "response", "transcription", "session_time"  # meters


class Counts(Protocol):
    """What a response or a transcription used, as the upstream counted it."""

    @property
    def meter(self) -> str: ...
    @property
    def text_in(self) -> int: ...
    @property
    def audio_in(self) -> int: ...
    @property
    def image_in(self) -> int: ...
    @property
    def cached_text(self) -> int: ...
    @property
    def cached_audio(self) -> int: ...
    @property
    def cached_image(self) -> int: ...
    @property
    def text_out(self) -> int: ...
    @property
    def audio_out(self) -> int: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Rate:
    """Prices in USD per million tokens, or per minute; None is not known."""

    text_in: Decimal | None = None
    text_cached: Decimal | None = None
    text_out: Decimal | None = None
    audio_in: Decimal | None = None
    audio_cached: Decimal | None = None
    audio_out: Decimal | None = None
    image_in: Decimal | None = None
    image_cached: Decimal | None = None
    per_minute: Decimal | None = None
    session_per_minute: Decimal | None = None  # of the session itself; None: the provider asks nothing for it


@dataclass(frozen=True, slots=True)
class Rates:
    """What a session needs to tell its running cost: rates by model, or that nothing costs anything."""

    free: bool = False
    by_model: dict[str, Rate] = field(default_factory=dict)


def cost_usd(used: Counts, rate: Rate | None) -> Decimal | None:
    """USD, rounded to 8 places; None when a price that is needed is not known."""
    if rate is None:
        return None
    if used.meter == SESSION_TIME:
        return ((rate.session_per_minute or 0) * Decimal(str(used.seconds)) / 60).quantize(USD_STEP)
    if rate.per_minute is not None:
        if used.seconds <= 0:
            return None  # counted in another unit than it is priced in
        return (rate.per_minute * Decimal(str(used.seconds)) / 60).quantize(USD_STEP)
    total = Decimal(0)
    for tokens, price in _parts(used, rate):
        if tokens <= 0:
            continue
        if price is None:
            return None
        total += tokens * price / MILLION
    if used.seconds > 0 and total == 0:
        return None
    return total.quantize(USD_STEP)


def _parts(used: Counts, rate: Rate) -> list[tuple[int, Decimal | None]]:
    """(tokens, price) of each part that is billed apart. More cached than sent counts as all of it cached."""
    cached = {
        name: min(getattr(used, f"cached_{name}"), getattr(used, f"{name}_in"))
        for name in ("text", "audio", "image")
    }
    return [
        (used.text_in - cached["text"], rate.text_in),
        (cached["text"], rate.text_cached),
        (used.text_out, rate.text_out),
        (used.audio_in - cached["audio"], rate.audio_in),
        (cached["audio"], rate.audio_cached),
        (used.audio_out, rate.audio_out),
        (used.image_in - cached["image"], rate.image_in),
        (cached["image"], rate.image_cached),
    ]


class RunningCost:
    """The cost of a session so far. `complete` is False once some usage had no known price."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.usd = Decimal(0)
        self.complete = True
        self.known = rates.free

    def add(self, used: Counts, model: str) -> None:
        """Take one usage record into account."""
        cost = Decimal(0) if self.rates.free else cost_usd(used, self.rates.by_model.get(model))
        if cost is None:
            self.complete = False
        else:
            self.known = True
            self.usd += cost

    @property
    def told_usd(self) -> float | None:
        """For the page: None while nothing of it has a known price."""
        return round(float(self.usd), 6) if self.known else None
