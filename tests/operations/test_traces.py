"""Traces of sessions that ended: spans and their times, no content in them, and nothing imported when unset."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from conversations import services as conversations
from realtime import checks, services, traces
from realtime.effects import RecordEnd, RecordEvent, RecordMessage, RecordTurn
from realtime.journal import Entry
from realtime.models import RealtimeSession

ROOT = Path(__file__).resolve().parents[2]
SAID = "the safe opens with nineteen"
TURN = RecordTurn(
    "resp_1",
    "item_1",
    "completed",
    input_ended_ms=2_000,
    silence_ms=500,
    endpointing_ms=100,
    response_created_ms=2_100,
    first_delta_ms=300,
    playout_start_ms=80,
    response_latency_ms=980,
)


@pytest.fixture
def session(transactional_db: None) -> RealtimeSession:
    user = User.objects.create_user("ada", "ada@example.org")
    made = RealtimeSession.objects.create(
        id=uuid4(),
        user=user,
        conversation=conversations.create_conversation(owner=user),
        modality="voice",
        engine="local",
        model="a-model",
    )
    RealtimeSession.objects.filter(pk=made.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    made.refresh_from_db()
    return made


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[InMemorySpanExporter]:
    """In place of the exporter, which would send."""
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    memory = InMemorySpanExporter()
    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", lambda **_options: memory)
    monkeypatch.setattr(traces, "_provider", None)
    yield memory
    if traces._provider is not None:
        traces._provider.shutdown()


def write(session: RealtimeSession, *records: Any) -> None:
    with transaction.atomic():  # as the journal does
        services.write_entries([Entry(session.pk, session.conversation_id, record) for record in records])


def sent(collector: InMemorySpanExporter) -> list[ReadableSpan]:
    made = traces.provider()
    assert made is not None
    assert made.force_flush()
    return list(collector.get_finished_spans())


def test_a_session_its_turn_and_the_stages_are_spans_at_their_times(
    session: RealtimeSession, collector: InMemorySpanExporter
) -> None:
    write(session, TURN)
    write(session, RecordEnd("idle"))
    spans = {span.name: span for span in sent(collector)}
    began_ns = round(session.started_at.timestamp() * 1000) * 1_000_000
    times = {
        name: ((span.start_time - began_ns) // 1_000_000, (span.end_time - began_ns) // 1_000_000)
        for name, span in spans.items()
        if span.start_time is not None and span.end_time is not None
    }
    assert times.pop("session") == (0, pytest.approx(300_000, abs=60_000))
    assert times == {
        "turn": (1_500, 2_480),
        "silence": (1_500, 2_000),
        "endpointing": (2_000, 2_100),
        "model": (2_100, 2_400),
        "playout": (2_400, 2_480),
    }
    whole, turn = spans["session"], spans["turn"]
    assert whole.parent is None
    assert turn.parent is not None
    assert whole.context is not None
    assert turn.parent.span_id == whole.context.span_id
    assert turn.context is not None
    for name in ("silence", "endpointing", "model", "playout"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == turn.context.span_id
    assert whole.resource.attributes["service.name"] == "voiceproject"
    assert whole.status.status_code is StatusCode.UNSET
    assert dict(whole.attributes or {}) == {
        "voice.session_id": str(session.pk),
        "voice.conversation_id": str(session.conversation_id),
        "voice.engine": "local",
        "voice.model": "a-model",
        "voice.end_reason": "idle",
        "voice.error_codes": (),
    }


def test_a_stage_that_was_not_reached_has_no_span(
    session: RealtimeSession, collector: InMemorySpanExporter
) -> None:
    write(session, RecordTurn("resp_1", "", "cancelled", response_created_ms=100, first_delta_ms=50))
    write(session, RecordTurn("resp_2", "", "failed", response_created_ms=900))
    write(session, RecordEnd("idle"))
    assert sorted(span.name for span in sent(collector)) == ["model", "session", "turn"]


def test_a_session_is_sent_once_however_often_its_end_is_written(
    session: RealtimeSession, collector: InMemorySpanExporter
) -> None:
    for _ in range(3):
        write(session, TURN, RecordEnd("idle"))
    assert [span.name for span in sent(collector)].count("session") == 1


def test_no_content_is_in_a_trace(session: RealtimeSession, collector: InMemorySpanExporter) -> None:
    assert session.conversation is not None
    conversations.rename_conversation(conversation=session.conversation, title=SAID)
    write(
        session,
        RecordMessage("item_1", 1, "assistant", "voice", "completed", SAID),
        RecordEvent(5, "upstream.error", {"code": SAID, "message": SAID}),
        RecordEvent(6, "upstream.error", {"code": "server_error", "message": SAID}),
        TURN,
        RecordEnd("idle"),
    )
    spans = sent(collector)
    assert len(spans) == 6
    assert session.conversation.messages.get().text == SAID  # there was something to tell
    everything = "".join(span.to_json() for span in spans)
    assert "nineteen" not in everything
    assert "ada" not in re.findall(r"\w+", everything)
    allowed = {"session_id", "conversation_id", "engine", "model", "end_reason", "error_codes"}
    allowed |= {"response_id", "item_id", "status"}
    assert {name for span in spans for name in span.attributes or {}} == {f"voice.{name}" for name in allowed}
    whole = spans[-1]
    assert (whole.attributes or {})["voice.error_codes"] == ("other", "server_error")
    assert whole.status.status_code is StatusCode.ERROR


def test_an_exporter_that_fails_leaves_the_end_stored(
    session: RealtimeSession,
    collector: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(**_options: Any) -> None:
        raise RuntimeError("no exporter today")

    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", broken)
    with caplog.at_level("WARNING", logger="realtime.traces"):
        write(session, RecordEnd("idle"))
    session.refresh_from_db()
    assert session.end_reason == "idle"
    assert "a session has no trace: RuntimeError" in caplog.text


def test_without_an_address_the_end_of_a_session_imports_nothing(
    session: RealtimeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "_provider", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    write(session, TURN, RecordEnd("idle"))
    assert not [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]


def test_the_site_starts_without_them() -> None:
    code = (
        "import sys, tests.settings; sys.modules['opentelemetry'] = None\n"
        "import voiceproject.asgi, realtime.traces, realtime.services"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_where_the_packages_are_missing_the_end_is_stored_and_the_check_says_what_to_do(
    session: RealtimeSession, collector: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise checks.metadata.PackageNotFoundError(name)

    assert checks.check_traces(None) == []
    monkeypatch.setattr(checks.metadata, "version", missing)
    assert [found.id for found in checks.check_traces(None)] == ["realtime.W008"]
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    write(session, RecordEnd("idle"))
    session.refresh_from_db()
    assert session.end_reason == "idle"
    assert traces.provider() is None
