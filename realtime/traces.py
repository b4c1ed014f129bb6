"""Sessions that ended, as OpenTelemetry traces: spans of the session, its turns and their stages. Never content.

They are made from the stored rows once a session's end is committed, on the thread that stored it: a trace is whole,
and a session has one. Nothing of OpenTelemetry is imported before that, nor without OTEL_EXPORTER_OTLP_ENDPOINT. The
exporter reads that address and its other OTEL_ variables itself, sends from a thread of its own, and drops what an
unreachable collector does not take.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from realtime import hours, metrics
from realtime.models import RealtimeSession, Turn

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger("realtime.traces")
MOST_TURNS = 400  # with their stages they fit the exporter's queue; the latest are sent
MOST_ERRORS = 100
SEND_DEADLINE_S = 3.0  # with all tries: a process that ends waits for it
_making = threading.Lock()
_provider: TracerProvider | None = None


def provider() -> TracerProvider | None:
    """What makes and sends spans, one per process; None when the packages of the extra `otel` are not installed."""
    global _provider
    with _making:
        if _provider is None:
            try:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
                from opentelemetry.sdk.resources import Resource
                from opentelemetry.sdk.trace import TracerProvider
                from opentelemetry.sdk.trace.export import BatchSpanProcessor
            except ImportError:
                return None  # the check realtime.W008 has said so
            _provider = TracerProvider(resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME}))
            _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=SEND_DEADLINE_S)))
        return _provider


def session_ended(session_id: UUID) -> None:
    """Send the trace of a session whose end is committed. Never raises: the end is stored, whatever becomes of this."""
    try:
        made = provider()
        if made is not None:
            _send(session_id, made)
    except Exception as error:
        logger.warning("a session has no trace: %s", type(error).__name__)


def _send(session_id: UUID, made: TracerProvider) -> None:
    from opentelemetry import trace

    session = RealtimeSession.objects.filter(pk=session_id).first()
    if session is None or session.ended_at is None:
        return
    began_ms = round(session.started_at.timestamp() * 1000)
    ended_ms = round(session.ended_at.timestamp() * 1000)
    codes = _error_codes(session)
    tracer = made.get_tracer("voiceproject")
    whole = tracer.start_span(
        "session",
        context=trace.set_span_in_context(trace.INVALID_SPAN),  # its own root, whatever the thread is in
        start_time=began_ms * 1_000_000,
        attributes={
            "voice.session_id": str(session.pk),
            "voice.conversation_id": str(session.conversation_id or ""),
            "voice.engine": session.engine,
            "voice.model": session.model,
            "voice.end_reason": session.end_reason,
            "voice.error_codes": codes,
        },
    )
    if codes:
        whole.set_status(trace.StatusCode.ERROR)
    inside = trace.set_span_in_context(whole)
    turns = Turn.objects.filter(session_id=session_id).order_by("-pk")[:MOST_TURNS]
    for turn in reversed(turns):
        stages = list(_stages(turn))
        if not stages:
            continue
        of_turn = tracer.start_span(
            "turn",
            context=inside,
            start_time=(began_ms + min(start for _, start, _ in stages)) * 1_000_000,
            attributes={
                "voice.response_id": turn.response_id,
                "voice.item_id": turn.item_id,
                "voice.status": turn.status,
            },
        )
        for name, start_ms, stop_ms in stages:
            stage = tracer.start_span(
                name,
                context=trace.set_span_in_context(of_turn),
                start_time=(began_ms + start_ms) * 1_000_000,
            )
            stage.end((began_ms + stop_ms) * 1_000_000)
        of_turn.end((began_ms + max(stop for _, _, stop in stages)) * 1_000_000)
    whole.end(ended_ms * 1_000_000)


def _stages(turn: Turn) -> Iterator[tuple[str, int, int]]:
    """(name, start, stop) of the stages that a turn reached, in ms since the session began."""
    ended_ms, created_ms = turn.input_ended_ms, turn.response_created_ms
    if ended_ms is not None:
        if turn.silence_ms is not None:
            yield "silence", ended_ms - turn.silence_ms, ended_ms
        if turn.endpointing_ms is not None:
            yield "endpointing", ended_ms, ended_ms + turn.endpointing_ms
    if created_ms is not None and turn.first_delta_ms is not None:
        delta_ms = created_ms + turn.first_delta_ms
        yield "model", created_ms, delta_ms
        if turn.playout_start_ms is not None:
            yield "playout", delta_ms, delta_ms + turn.playout_start_ms


def _error_codes(session: RealtimeSession) -> list[str]:
    """What went wrong upstream, each code once. They come from outside, so only those that are known are named."""
    if not session.errors:
        return []
    rows = session.events.filter(hours.IS_ERROR).order_by("pk").values_list("name", "data")[:MOST_ERRORS]
    return sorted({metrics.known_code(str(data.get("code") or name)) for name, data in rows})
