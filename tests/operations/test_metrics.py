"""`/metrics` and `/health/ready`: who gets them, what they say, and that what is stored is counted once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from prometheus_client import REGISTRY

from realtime import leases, metrics, services
from realtime.effects import RecordEnd, RecordEvent, RecordTurn, RecordUsage
from realtime.exceptions import UpstreamRefused
from realtime.journal import Entry
from realtime.models import ProbeRun, RealtimeSession
from realtime.switchboard import get_switchboard
from voiceproject import readiness
from voiceproject.env import Secret

ROOT = Path(__file__).resolve().parents[2]


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class TestWhoMayScrape:
    @pytest.mark.parametrize(
        ("address", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403), ("", 403)]
    )
    def test_without_a_token_only_this_machine(self, db: None, address: str, status: int) -> None:
        assert Client(REMOTE_ADDR=address).get("/metrics").status_code == status

    @pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
    def test_what_came_through_a_proxy_is_not_from_this_machine(self, db: None, header: str) -> None:
        assert Client().get("/metrics", headers={header: "127.0.0.1"}).status_code == 403

    @pytest.mark.parametrize(
        ("given", "status"), [("Bearer right", 200), ("Bearer wrong", 403), ("right", 403), ("Bearer é", 403)]
    )
    def test_with_a_token_only_who_has_it(self, db: None, settings: Any, given: str, status: int) -> None:
        settings.METRICS_TOKEN = Secret("right")
        assert Client().get("/metrics", headers={"authorization": given}).status_code == status
        assert Client().get("/metrics").status_code == 403


class TestCounting:
    @pytest.fixture
    def session(self, transactional_db: None) -> RealtimeSession:
        user = User.objects.create_user("ada")
        return RealtimeSession.objects.create(
            id=uuid4(), user=user, modality="voice", engine="local", model="a-model"
        )

    def write(self, session: RealtimeSession, *records: Any) -> None:
        services.write_entries([Entry(session.pk, None, record) for record in records])

    def test_a_turn_a_usage_row_and_an_end_count_once_however_often_they_are_written(
        self, session: RealtimeSession
    ) -> None:
        before = (
            value("voice_turn_e2e_seconds_count"),
            value("voice_tokens_total", kind="audio_out"),
            value("voice_sessions_total", end_reason="idle", engine="local"),
        )
        for _ in range(3):
            self.write(
                session,
                RecordTurn("r", "i", "in_progress"),
                RecordTurn("r", "i", "completed", response_latency_ms=700),
                RecordUsage("response", "r", audio_out=40),
                RecordEnd("idle", {"reconnects_browser": 0}),
            )
        after = (
            value("voice_turn_e2e_seconds_count"),
            value("voice_tokens_total", kind="audio_out"),
            value("voice_sessions_total", end_reason="idle", engine="local"),
        )
        assert [new - old for old, new in zip(before, after, strict=True)] == [1, 40, 1]

    def test_codes_that_nobody_knows_share_one_label(self, session: RealtimeSession) -> None:
        before = value("voice_upstream_errors_total", code="other")
        self.write(session, *(RecordEvent(1, "upstream.error", {"code": f"code-{n}"}) for n in range(5)))
        assert value("voice_upstream_errors_total", code="other") - before == 5
        assert REGISTRY.get_sample_value("voice_upstream_errors_total", {"code": "code-1"}) is None

    def test_the_page_tells_live_sessions_and_the_latest_probe(self, session: RealtimeSession) -> None:
        RealtimeSession.objects.update(lease_until=leases.lease_end())
        ProbeRun.objects.create(
            ok=False, fault="auth_401", url="u", model="m", total_ms=3, stages=[{"name": "tcp", "ms": 250.0}]
        )
        text = Client().get("/metrics").content.decode()
        assert "voice_sessions_active 1.0" in text
        assert 0 < value("voice_memory_used") < 1
        assert "voice_probe_success 0.0" in text
        assert 'voice_probe_stage_seconds{stage="tcp"} 0.25' in text


class TestReady:
    async def ask(self) -> tuple[int, dict[str, Any]]:
        answer = await AsyncClient().get("/health/ready")
        return answer.status_code, answer.json()

    async def test_a_healthy_process_is_ready(self, transactional_db: None) -> None:
        status, body = await self.ask()
        assert (status, body["status"]) == (200, "ready")
        assert set(body["checks"].values()) == {"ok"}

    async def test_a_voice_service_that_is_down_is_told_and_no_reason_to_leave(
        self, transactional_db: None
    ) -> None:
        get_switchboard().breaker.failed(UpstreamRefused(401), 1.0)
        assert (await self.ask())[1] == {
            "status": "degraded",
            "checks": {
                "database": "ok", "channel_layer": "ok", "journal": "ok", "taking_sessions": "ok", "memory": "ok",
                "upstream": "failed",
            },
        }  # fmt: skip

    async def test_a_process_short_of_memory_is_told_and_its_calls_find_their_way_back(
        self, transactional_db: None, settings: Any
    ) -> None:
        settings.REALTIME_MAX_MEMORY_MIB = 1
        status, body = await self.ask()
        assert (status, body["status"], body["checks"]["memory"]) == (200, "degraded", "failed")

    async def test_a_process_that_leaves_is_not_ready(self, transactional_db: None) -> None:
        get_switchboard().draining = True
        assert (await self.ask())[0] == 503

    async def test_a_journal_that_cannot_keep_up_is_not_ready(
        self, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(readiness, "JOURNAL_MOST", 0)
        status, body = await self.ask()
        assert (status, body["checks"]["journal"]) == (503, "failed")

    async def test_a_database_that_refuses_is_named_without_its_address(self, transactional_db: None) -> None:
        def refuse(*args: Any) -> Any:
            raise OperationalError("host=db.internal password=secret")

        def install() -> None:
            connection.execute_wrappers.append(refuse)

        def remove() -> None:
            connection.execute_wrappers.remove(refuse)

        await sync_to_async(install)()
        try:
            status, body = await self.ask()
        finally:
            await sync_to_async(remove)()
        assert (status, body["checks"]["database"]) == (503, "failed")
        assert "secret" not in json.dumps(body)


def test_the_board_and_the_alerts_ask_for_metrics_that_exist() -> None:
    known = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    known |= {family.name for family in REGISTRY.collect()}
    # Those with labels have no sample before the first one.
    source = (ROOT / "realtime" / "metrics.py").read_text(encoding="utf-8")
    known |= set(re.findall(r'"(voice_\w+)"', source))
    for path in ("deploy/grafana/voice.json", "deploy/prometheus/alerts.yml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        asked = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"voice_\w+", text)}
        assert asked
        assert asked <= known, path
    assert json.loads((ROOT / "deploy/grafana/voice.json").read_text(encoding="utf-8"))["panels"]


def test_the_board_shows_every_metric() -> None:
    board = (ROOT / "deploy/grafana/voice.json").read_text(encoding="utf-8")
    names = {
        metric._name
        for metric in vars(metrics).values()
        if hasattr(metric, "_name") and metric._name.startswith("voice_")
    }
    assert len(names) >= 13
    assert sorted(name for name in names if name not in board) == []
