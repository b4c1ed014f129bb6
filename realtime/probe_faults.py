"""What can be wrong between this site and the voice service: each fault with its exit code and its advice. Pure.

The probe (`probe.py`) finds the faults; here is only what they are called, what to do about them, and the arithmetic
of several runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from realtime.percentiles import percentile

STAGES = (
    *("name_lookup", "tcp", "tls", "upgrade", "session_created", "session_updated"),
    *("text_turn", "spoken_turn", "rate_limits", "close"),
)
# Slower than this is worth a remark, in ms.
SLOW_MS = {
    "name_lookup": 500,
    "tcp": 500,
    "tls": 1_000,
    "upgrade": 2_000,
    "session_created": 1_000,
    "session_updated": 1_000,
    "text_turn": 2_500,
    "spoken_turn": 3_000,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`exit_code` groups faults by kind: 10 network, 20 refused, 30 protocol, 40 answers, 50 this machine."""

    exit_code: int
    advice: str


FAULTS: dict[str, Fault] = {
    "name_lookup": Fault(
        10, "The host name cannot be found. Check REALTIME_BASE_URL and this machine's DNS."
    ),
    "tcp_refused": Fault(
        11, "Nothing listens at this address. For the local server: start it with `manage.py realtime_local`."
    ),
    "tcp_unreachable": Fault(
        11, "The host cannot be reached. Check the network, the firewall and REALTIME_BASE_URL."
    ),
    "proxy_needed": Fault(
        12,
        "This machine reaches the internet through a proxy, which the relay does not use. "
        "Let it connect to the host directly.",
    ),
    "proxy_answered": Fault(
        12, "A proxy answered instead of the service. Exempt the host from it, WebSockets included."
    ),
    "tls_untrusted": Fault(
        13,
        "The certificate is not trusted. Check the clock and the CA certificates; "
        "a firewall that opens TLS needs its own certificate installed here.",
    ),
    "tls_failed": Fault(13, "TLS could not be agreed on. Check that the address speaks TLS (wss://)."),
    "auth_401": Fault(
        20, "The key was refused, or none is set. Set a valid OPENAI_API_KEY and restart the site."
    ),
    "auth_403": Fault(
        20, "The key may not use this model. Give its project access to the Realtime API and the model."
    ),
    "quota": Fault(21, "The account has no credit left. Add credit or raise its budget with the provider."),
    "rate_limited_429": Fault(
        22,
        "Too many requests. Wait (retry_after_s, where it is told), or ask the provider for a higher limit.",
    ),
    "not_found_404": Fault(
        23, "There is no Realtime API at this address. Check the path of REALTIME_BASE_URL."
    ),
    "model_expired": Fault(
        24,
        "The model is unknown or was shut down. Set REALTIME_MODEL to a current one, such as gpt-realtime-2.1.",
    ),
    "beta_header": Fault(
        25,
        "The service takes this for the old beta API. Remove the OpenAI-Beta header, which a proxy may add.",
    ),
    "upgrade_refused": Fault(
        26, "The service refused the connection with an unusual status. Look at the provider's status page."
    ),
    "server_error_5xx": Fault(
        27, "The service is in trouble itself. Look at the provider's status page, and try again later."
    ),
    "no_answer": Fault(
        30, "Connected, but nothing came in time. Try again; if it stays, look at the provider's status page."
    ),
    "lost": Fault(
        31, "The connection broke. If it happens again, look for a proxy or firewall that cuts it."
    ),
    "session_expired": Fault(32, "The service ended the session as too old. Try again."),
    "malformed": Fault(33, "Something came that is not of the protocol. Look for a proxy that changes it."),
    "config_refused": Fault(
        34, "The session's configuration was refused. Check REALTIME_VOICE and the REALTIME_VAD_ settings."
    ),
    "answer_failed": Fault(40, "The service failed to answer. Try again, then look at its status page."),
    "no_audio": Fault(41, "The answer came without sound. Check that the model can speak."),
    "not_transcribed": Fault(
        42, "The spoken sentence was not written down. Check REALTIME_TRANSCRIPTION_MODEL."
    ),
    "transcript_differs": Fault(
        43,
        "Other words were understood than were said. Try again; if it stays, check REALTIME_TRANSCRIPTION_MODEL, and "
        "with --audio the file and --says.",
    ),
    "bad_audio": Fault(
        50,
        "The audio file cannot be used: it must be there, and a WAV, PCM of 16 bits, of 0.1 to 60 seconds.",
    ),
    "bad_address": Fault(51, "The address must be wss://host/path, or ws:// on this machine."),
    "unclean_close": Fault(35, "The service did not say goodbye when the connection was closed."),
}

CODES = {
    "invalid_api_key": "auth_401",
    "account_deactivated": "auth_401",
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "rate_limit_exceeded": "rate_limited_429",
    "inference_rate_limit_exceeded": "rate_limited_429",
    "beta_api_shape_disabled": "beta_header",
    "invalid_model": "model_expired",
    "model_not_found": "model_expired",
    "invalid_intent": "not_found_404",
    "session_expired": "session_expired",
}


def fault_of_status(status: int, server: str = "") -> str:
    """The fault behind an HTTP status of the upgrade. 200 or a redirect instead of 101: something in between."""
    if status in (401, 403):
        return f"auth_{status}"
    if status == 429:
        return "rate_limited_429"
    if status == 407 or status < 400:
        return "proxy_answered"
    if status == 404:
        return "not_found_404"
    return "server_error_5xx" if status >= 500 else "upgrade_refused"


def fault_of_close(code: int | None, reason: str) -> str:
    """The fault behind a close: 3000 and 4000 name their code after a dot, 1001 is the service's oldest age."""
    known = CODES.get(reason.rpartition(".")[2])
    if known and code in (3000, 4000):
        return known
    return "lost"


class StageFailed(Exception):
    """A stage found a fault. `detail` are numbers and words of our own, never text of the peer."""

    def __init__(self, fault: str, **detail: Any) -> None:
        super().__init__(fault)
        self.fault = fault
        self.detail = detail


@dataclass(slots=True)
class Stage:
    """One stage: `ok` None means that it does not apply here. `ms` is its own time."""

    name: str
    ok: bool | None
    ms: float
    detail: dict[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def slow(self) -> bool:
        """Whether it worked, but later than one would like."""
        return bool(self.ok) and self.ms > SLOW_MS.get(self.name, math.inf)


@dataclass(slots=True)
class Report:
    """One run."""

    url: str
    model: str
    stages: list[Stage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def fault(self) -> str:
        """The first fault; empty when all is well."""
        return next((stage.fault for stage in self.stages if stage.fault), "")

    @property
    def ok(self) -> bool:
        return not self.fault

    @property
    def exit_code(self) -> int:
        return FAULTS[self.fault].exit_code if self.fault else 0

    @property
    def advice(self) -> str:
        return FAULTS[self.fault].advice if self.fault else ""

    def as_data(self) -> dict[str, Any]:
        """For JSON: "ok", "fault", "advice", "exit_code", "url", "model", "total_ms", "warnings", "stages"."""
        stages = []
        for stage in self.stages:
            row = asdict(stage)
            row.update(row.pop("detail"))
            row["ms"] = round(stage.ms, 1)
            stages.append(row)
        return {
            "ok": self.ok,
            "fault": self.fault,
            "advice": self.advice,
            "exit_code": self.exit_code,
            "url": self.url,
            "model": self.model,
            "total_ms": round(sum(stage.ms for stage in self.stages), 1),
            "warnings": self.warnings,
            "stages": stages,
        }


def percentiles(reports: Sequence[Report]) -> dict[str, dict[str, float]]:
    """Of each stage that worked in at least one run: p50, p95, p99 and how many, in ms. After the stages, the same of
    the first token and the first sound."""
    found: dict[str, dict[str, float]] = {}
    worked = [stage for report in reports for stage in report.stages if stage.ok]
    of_stages = {name: [stage.ms for stage in worked if stage.name == name] for name in STAGES}
    firsts = {
        name: [stage.detail[f"{name}_ms"] for stage in worked if f"{name}_ms" in stage.detail]
        for name in ("first_token", "first_audio")
    }
    for name, times in (of_stages | firsts).items():
        if times:
            of = {
                f"p{int(share * 100)}": round(percentile(times, share) or 0, 1) for share in (0.5, 0.95, 0.99)
            }
            found[name] = {**of, "count": len(times)}
    return found


def word_match(said: str, understood: str) -> float:
    """Share of the said words that were understood, in order of the alphabet rather than of the sentence; 0 to 1."""
    left = _words(understood)
    words = _words(said)
    hits = 0
    for word in words:
        if word in left:
            left.remove(word)
            hits += 1
    return hits / len(words) if words else 0.0


def _words(text: str) -> list[str]:
    return [
        "".join(c for c in word if c.isalnum())
        for word in text.lower().split()
        if any(map(str.isalnum, word))
    ]
