"""`/health/ready`: whether this process can take people, part by part; `/metrics`: what Prometheus asks. No login."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from uuid import uuid4

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
    values,
)

from realtime import memory, metrics, services
from realtime.switchboard import get_switchboard

DEADLINE_S = 3.0
MAY_BE_DOWN = {"channel_layer", "memory", "upstream"}
JOURNAL_MOST = 500  # records that wait: half of what the journal holds before it spills
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


@require_safe
@never_cache
async def ready(request: HttpRequest) -> JsonResponse:
    """200 when this process can take people, else 503: `{"status": "ready", "checks": {"database": "ok", ...}}`.

    A voice service or a channel layer that is down is told ("degraded"), but is no reason to send people elsewhere: no
    other process has another one, conversations can be read, and nothing but the speed of some news needs the layer.
    Nor is memory that runs short: no session begins then, but those that are live must find their way back.
    """
    checks: dict[str, Callable[[], Awaitable[bool]]] = {
        "database": _database,
        "channel_layer": _channel_layer,
        "journal": _journal,
        "taking_sessions": _taking_sessions,
    }
    results = {name: "ok" if await _passes(check) else "failed" for name, check in checks.items()}
    results["memory"] = "ok" if memory.share_used() < 1 else "failed"
    results["upstream"] = "ok" if get_switchboard().breaker.error is None else "failed"
    down = {name for name, result in results.items() if result == "failed"}
    failed = bool(down - MAY_BE_DOWN)
    status = "failed" if failed else "degraded" if down else "ready"
    return JsonResponse({"status": status, "checks": results}, status=503 if failed else 200)


async def _passes(check: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a check passes in time. What it fails with may hold addresses, and is not told."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await check()
    except Exception:
        return False


async def _database() -> bool:
    def ask() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))

    return bool(await database_sync_to_async(ask)())


async def _channel_layer() -> bool:
    layer = get_channel_layer()
    if layer is None:
        return True
    channel = await layer.new_channel("ready")
    mark = uuid4().hex
    await layer.send(channel, {"type": "ready", "mark": mark})
    return bool((await layer.receive(channel))["mark"] == mark)


async def _journal() -> bool:
    return get_switchboard().journal.waiting < JOURNAL_MOST


async def _taking_sessions() -> bool:
    return not get_switchboard().draining


@require_safe
@never_cache
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for who holds METRICS_TOKEN; without one, for programs on this machine only. Else 403."""
    if not may_scrape(request):
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", status=403, content_type="text/plain")
    live, probe = services.live_sessions(), services.latest_probe()
    metrics.sessions_active.set(live)
    metrics.memory_used.set(memory.share_used())
    if probe is not None:
        metrics.probe_success.set(1 if probe.ok else 0)
        for stage in probe.stages:
            metrics.probe_stage_seconds.labels(stage["name"]).set(stage["ms"] / 1000)
    registry = REGISTRY
    if values.ValueClass is not values.MutexValue:  # several processes share a folder of counters
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_scrape(request: HttpRequest) -> bool:
    """Whether the request has the token, or comes from this machine and not through a proxy."""
    token = str(settings.METRICS_TOKEN[:])
    if token:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and constant_time_compare(given.strip(), token)
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
