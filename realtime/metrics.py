"""What Prometheus is told: the metrics of this process, and the verbs that count. No page, no database.

Counted is what was stored, once: a record that is replayed after a crash does not count again. A process has its own
counters; `/metrics` of each is to be asked, or PROMETHEUS_MULTIPROC_DIR set as prometheus-client documents it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LENGTHS = (10, 30, 60, 120, 300, 600, 900, 1_800, 3_600)

sessions_active = Gauge("voice_sessions_active", "Live sessions of the site", multiprocess_mode="mostrecent")
sessions_total = Counter("voice_sessions_total", "Sessions that ended", ["end_reason", "engine"])
session_seconds = Histogram("voice_session_seconds", "Length of sessions", buckets=LENGTHS)
turn_e2e_seconds = Histogram(
    "voice_turn_e2e_seconds", "End of speech to the first sound heard", buckets=SECONDS
)
upstream_connect_seconds = Histogram(
    "voice_upstream_connect_seconds", "Dial to open upstream socket", buckets=SECONDS
)
upstream_errors_total = Counter("voice_upstream_errors_total", "Errors of the upstream", ["code"])
reconnects_total = Counter("voice_reconnects_total", "Connections taken up again", ["leg"])
audio_dropped_seconds_total = Counter(
    "voice_audio_dropped_seconds_total", "Microphone audio that was dropped", ["direction"]
)
tokens_total = Counter("voice_tokens_total", "Tokens used", ["kind"])
cost_usd_total = Counter("voice_cost_usd_total", "Cost at known prices", ["model"])
unpriced_total = Counter("voice_usage_unpriced_total", "Usage rows without a known price", ["model"])
memory_used = Gauge(
    "voice_memory_used",
    "Memory held, of what may be held: from 1 on no session begins",
    multiprocess_mode="max",
)
admission_refused_total = Counter("voice_admission_refused_total", "Sessions not granted", ["reason"])
probe_success = Gauge(
    "voice_probe_success", "Whether the latest probe worked", multiprocess_mode="mostrecent"
)
probe_stage_seconds = Gauge(
    "voice_probe_stage_seconds", "Stages of the latest probe", ["stage"], multiprocess_mode="mostrecent"
)

# Codes come from outside: those that are not on the list share one label.
KNOWN_CODES = frozenset(
    {
        *("upstream.auth", "upstream.rate_limited", "upstream.config", "upstream.unreachable"),
        *("upstream.timeout", "upstream.lost", "upstream.failed", "session_expired", "invalid_api_key"),
        *("insufficient_quota", "rate_limit_exceeded", "inference_rate_limit_exceeded", "server_error"),
        *("model_not_found", "invalid_model", "invalid_value", "beta_api_shape_disabled"),
        *("conversation_already_has_active_response", "response_cancel_not_active"),
    }
)


def usage_recorded(tokens: Mapping[str, int], usd: Decimal | None, model: str) -> None:
    """A usage row was stored."""
    for kind, count in tokens.items():
        if count:
            tokens_total.labels(kind).inc(count)
    if usd is None:
        unpriced_total.labels(model).inc()
    else:
        cost_usd_total.labels(model).inc(float(usd))


def session_ended(
    reason: str, engine: str, length_s: float, *, browser: int, upstream: int, dropped_ms: int
) -> None:
    """A session's end was stored, with its reconnects of both legs and the audio it lost."""
    sessions_total.labels(reason, engine).inc()
    session_seconds.observe(max(0.0, length_s))
    reconnects_total.labels("browser").inc(browser)
    reconnects_total.labels("upstream").inc(upstream)
    audio_dropped_seconds_total.labels("up").inc(dropped_ms / 1000)


def upstream_error(code: str) -> None:
    """An error of the upstream was stored."""
    upstream_errors_total.labels(known_code(code)).inc()


def known_code(code: str) -> str:
    """The code itself when it is one of those that we know, else `other`."""
    return code if code in KNOWN_CODES else "other"
