"""Sessions as lines of CSV: what the list shows and what their pages begin with, of those chosen. No content."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from realtime.ledger import csv_line
from realtime.models import RealtimeSession

COLUMNS = (
    *("id", "user__username", "started_at", "ended_at", "end_reason", "modality", "engine", "model", "voice"),
    *("turns", "interruptions", "errors", "slowest_ms", "first_audio_ms", "audio_in_ms", "audio_out_ms"),
    *("dropped_ms", "reconnects_browser", "reconnects_upstream", "rtt_ms", "rtt_p95_ms", "jitter_ms"),
    *("browser", "device", "worker", "cost_usd", "cost_complete"),
)


def lines(sessions: QuerySet[RealtimeSession]) -> Iterator[str]:
    """A head, then a line each; what is not known is empty."""
    yield csv_line("user" if name == "user__username" else name for name in COLUMNS)
    for row in sessions.order_by("-started_at").values_list(*COLUMNS).iterator(2_000):
        yield csv_line(_cell(value) for value in row)


def _cell(value: Any) -> Any:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
    return value
