"""The page of one session: its rows gathered with a bound on each. No words of anybody are read here."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.utils import timezone

from realtime.models import RealtimeSession
from realtime.operations.timeline import Picture, draw, waterfalls
from realtime.percentiles import percentile

TURNS_SHOWN, EVENTS_SHOWN, EVENTS_DRAWN, USAGE_SHOWN = 200, 200, 3_000, 200
DRAWN = (
    *("speech.started", "speech.stopped", "browser.gone", "browser.resumed", "interruption", "tool.called"),
    *("upstream.error", "upstream.lost", "upstream.rotated", "upstream.ready", "ended"),
    *("tool.done", "input.transcribed"),
)


def inspect(session: RealtimeSession, event_name: str = "") -> dict[str, Any]:
    """Everything that the page shows; `event_name` narrows the list of events. At most seven queries."""
    turns = list(session.turn_rows.order_by("pk")[:TURNS_SHOWN])
    drawn = list(session.events.filter(name__in=DRAWN).order_by("at_ms", "pk")[:EVENTS_DRAWN])
    length_ms = int(((session.ended_at or timezone.now()) - session.started_at).total_seconds() * 1000)
    if drawn:
        length_ms = max(drawn[-1].at_ms, length_ms if session.ended_at is None else 0)
    events = session.events.order_by("at_ms", "pk")
    if event_name:
        events = events.filter(name=event_name)
    names = list(session.events.values("name").annotate(count=Count("pk")).order_by("name"))
    attached = session.events.filter(name="browser.attached").order_by("pk").first()
    picture: Picture = draw(length_ms, drawn, turns)
    latencies = [turn.response_latency_ms for turn in turns if turn.response_latency_ms is not None]
    understood = [
        event.data["ms"] for event in drawn if event.name == "input.transcribed" and "ms" in event.data
    ]
    return {
        "latency_p50_ms": percentile(latencies, 0.5),
        "latency_p95_ms": percentile(latencies, 0.95),
        "transcribed_p50_ms": percentile(understood, 0.5),
        "picture": picture,
        "waterfalls": waterfalls(turns),
        # Facts as pairs: in a template, `.items` would be what a page calls so. Below too.
        "events_found": [(event, list(event.data.items())) for event in events[:EVENTS_SHOWN]],
        "events_shown": EVENTS_SHOWN,
        "event_names": names[:60],
        "event_name": event_name,
        "usage_rows": session.usage.order_by("pk")[:USAGE_SHOWN],
        "browser_says": list(attached.data.items()) if attached else [],
        "length_ms": length_ms,
        "link": _link(session),
        # The row's own counters are written at the end.
        "answers": session.turns if session.ended_at else len(turns),
    }


def _link(session: RealtimeSession) -> dict[str, Any]:
    """Round trips and jitter: of the row once the session has ended, before that as it last told."""
    if session.ended_at is None:
        latest = session.events.filter(name="connection").order_by("pk").last()
        return latest.data if latest else {}
    return {name: getattr(session, name) for name in ("rtt_ms", "rtt_p95_ms", "jitter_ms")}
