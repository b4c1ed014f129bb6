"""Faults on demand: which there are, when each strikes, what then happens to what is sent. Pure, no sockets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from realtime.local import rules
from realtime.local.errors import BadOption, ProtocolError

# name: (what it does, how often it strikes unless `times` says otherwise; None: every time)
CATALOGUE: dict[str, tuple[str, int | None]] = {
    "refuse": ("answers the handshake with `status` (503)", None),
    "rate_limited": ("answers the handshake with 429 and Retry-After: `retry_after` (1)", None),
    "stall": ("sends nothing more for `ms`, or for ever; with at=handshake the handshake itself hangs", None),
    "slow": ("every event is `ms` (200) late", None),
    "drop": ("ends the connection: close `code`, or a TCP reset without one", 1),
    "malformed": ("sends a frame that is not JSON", 1),
    "unknown_event": ("sends an event of a type that does not exist", 1),
    "flood": ("sends `count` (200) events of `bytes` (4096) at once", 1),
    "expire": ("ends the session as the longest duration does: session_expired, then close 1001", 1),
}
_FAULT = rules.record(
    {
        "name": rules.choice(*CATALOGUE),
        "at": rules.text(),
        "nth": rules.number(1, 10**6, whole=True),
        "after_events": rules.number(0, 10**6, whole=True),
        "times": rules.nullable(rules.number(0, 10**6, whole=True)),
        "status": rules.number(400, 599, whole=True),
        "code": rules.nullable(rules.number(1000, 4999, whole=True)),
        "reason": rules.text(100),
        "retry_after": rules.number(0, 86_400),
        "ms": rules.number(0, 3_600_000),
        "count": rules.number(1, 10**6, whole=True),
        "bytes": rules.number(0, 10**8, whole=True),
    },
    ("name",),
)


@dataclass(slots=True)
class Fault:
    """One fault. It strikes after the `nth` event of type `at`, or after `after_events` events of any type (0).

    `times` is how often it still strikes, over all connections; None is for ever.
    """

    name: str
    at: str | None = None
    nth: int = 1
    after_events: int = 0
    times: int | None = None
    status: int = 503
    code: int | None = None
    reason: str = ""
    retry_after: float = 1
    ms: float | None = None
    count: int = 200
    bytes: int = 4096

    @classmethod
    def parse(cls, value: Any) -> Fault:
        """A dict, a ready `Fault`, or text as on the command line: `drop:after_events=5,code=1011`."""
        if isinstance(value, Fault):
            return value
        if isinstance(value, str):
            value = _from_text(value)
        try:
            _FAULT(value, "fault")
        except ProtocolError as error:
            raise BadOption(error.message) from None
        return cls(**{"times": CATALOGUE[value["name"]][1], **value})

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.times <= 0

    def use(self) -> None:
        if self.times is not None:
            self.times -= 1


@dataclass(frozen=True, slots=True)
class Deliver:
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """None: for ever."""

    ms: float | None


@dataclass(frozen=True, slots=True)
class Disconnect:
    """None: a TCP reset."""

    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    pass


Action = Deliver | Wait | Disconnect | Expire


def at_handshake(faults: Iterable[Fault]) -> Fault | None:
    """The fault that strikes before the connection is accepted, already counted as used."""
    for fault in faults:
        before_accept = fault.name in ("refuse", "rate_limited") or (
            fault.name == "stall" and fault.at == "handshake"
        )
        if before_accept and not fault.is_spent:
            fault.use()
            return fault
    return None


@dataclass(slots=True)
class FaultLine:
    """What happened on one connection so far, as far as faults depend on it."""

    sent: int = 0
    by_type: dict[str, int] = field(default_factory=dict)
    _struck: set[int] = field(default_factory=set)

    def actions(self, event: dict[str, Any], text: str, faults: Iterable[Fault]) -> Iterator[Action]:
        """What to do in place of just sending `event`, whose wire form is `text`."""
        live = [fault for fault in faults if not fault.is_spent]
        for fault in live:
            if fault.name == "slow" and self.sent >= fault.after_events:
                yield Wait(200 if fault.ms is None else fault.ms)
        yield Deliver(text)
        self.sent += 1
        self.by_type[event["type"]] = self.by_type.get(event["type"], 0) + 1
        for fault in live:
            if id(fault) not in self._struck and self._strikes(fault, event["type"]):
                self._struck.add(id(fault))
                fault.use()
                yield from _struck(fault)

    def _strikes(self, fault: Fault, kind: str) -> bool:
        if fault.name in ("refuse", "rate_limited", "slow") or fault.at == "handshake":
            return False
        if fault.at is not None:
            return kind == fault.at and self.by_type[kind] >= fault.nth
        return self.sent >= fault.after_events


def _struck(fault: Fault) -> Iterator[Action]:
    match fault.name:
        case "stall":
            yield Wait(fault.ms)
        case "drop":
            yield Disconnect(fault.code, fault.reason)
        case "malformed":
            yield Deliver('{"type": "response.output_audio.delta", "delta": ')
        case "unknown_event":
            yield Deliver(
                json.dumps({"type": "response.telepathy.delta", "event_id": "event_fault", "delta": "?"})
            )
        case "flood":
            filler = json.dumps(
                {"type": "local.flood", "event_id": "event_fault", "filler": "x" * fault.bytes}
            )
            for _ in range(fault.count):
                yield Deliver(filler)
        case "expire":
            yield Expire()


def _from_text(text: str) -> dict[str, Any]:
    name, _, rest = text.partition(":")
    value: dict[str, Any] = {"name": name}
    for pair in filter(None, rest.split(",")):
        key, _, raw = pair.partition("=")
        try:
            value[key] = json.loads(raw)
        except ValueError:
            value[key] = raw
    return value
