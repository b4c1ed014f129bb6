"""Everything that can be set about a local server, in one frozen place. Reads no environment and no command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """`mode="speech"` is the real thing, `mode="scripted"` the test bench: exact, model-free, as fast as it can.

    script        turns of the scripted mode: dicts, see docs/local-server.md
    faults        dicts or texts of `faults.Fault.parse`
    pace          audio is sent at most this many times faster than it plays, after a head start of a second;
                  0: as fast as possible; None: 0 when scripted, 4 in speech mode
    record        keep every event for tests; None: only when scripted
    keys          keys that are let in; empty: any, or none unless `require_key`
    """

    mode: Literal["speech", "scripted"] = "speech"
    host: str = "127.0.0.1"
    port: int = 8765
    script: Sequence[dict[str, Any]] = ()
    faults: Sequence[Any] = field(default_factory=tuple)
    delta_ms: int = 250
    pace: float | None = None
    record: bool | None = None
    require_key: bool = False
    keys: tuple[str, ...] = ()
    max_sessions: int = 64
    max_session_ms: float = 3_600_000.0
    silence_ms: int = 500
    recognizer: Literal["tiny", "base"] = "tiny"
    recognizer_path: str | None = None
    threads: int = 2
    max_waiting: int = 16
    llm_url: str | None = None
    llm_model: str = "default"
    llm_key: str | None = None
    packaged_model: bool = False
    seed: int | None = None

    @property
    def audio_pace(self) -> float:
        if self.pace is not None:
            return self.pace
        return 0.0 if self.mode == "scripted" else 4.0

    @property
    def keeps_records(self) -> bool:
        return self.mode == "scripted" if self.record is None else self.record
