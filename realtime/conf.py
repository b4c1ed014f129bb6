"""What one session runs under: a frozen copy of the settings and of the person's preferences, made when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from realtime.usage import Rates

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
# Presets of the panel's settings: what a person picks instead of numbers.
TURN_PRESETS: dict[str, dict[str, Any] | None] = {
    "normal": {},
    "quiet": {"threshold": 0.35, "silence_duration_ms": 400},
    "noisy": {"threshold": 0.75, "silence_duration_ms": 600},
    "patient": {"silence_duration_ms": 1200},
    "push_to_talk": None,
    "custom": {},  # the person's own numbers
}
ANY_LANGUAGE = "any"  # the recogniser is told none


@dataclass(frozen=True, slots=True)
class Seed:
    """One earlier message that the upstream is told at the start: `role` is user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Everything a session and its relay need to know. Times in ms unless the name says otherwise."""

    upstream_url: str
    model: str
    voice: str
    instructions: str
    transcription_model: str = "gpt-transcribe"
    language: str = ""
    expected_language: str = ""  # the one that the person says they speak
    noise_reduction: str = "near_field"  # or far_field, or off
    asks_how_sure: bool = True  # the recogniser; False: this upstream refused a configuration that did
    written_answers: bool = False  # the person speaks and reads
    api_key: str = field(default="", repr=False)
    modality: str = "voice"
    keep: str = "transcript"  # what the person lets be kept: see `keeping.py`
    may_record: bool = False  # whether this site keeps audio of those who choose it
    turn_detection: dict[str, Any] | None = None
    site_turn_detection: dict[str, Any] | None = None  # which a preset is laid over
    turn_custom: dict[str, Any] = field(default_factory=dict)  # the person's own numbers, or empty
    interruptible: bool = True
    max_output_tokens: int = 2048
    tools: tuple[dict[str, Any], ...] = ()
    history: tuple[Seed, ...] = field(default=(), repr=False)
    first_position: int = 0
    safety_identifier: str = ""
    rates: Rates = field(default_factory=Rates, repr=False)
    limited: bool = False  # a budget binds this session
    # limits
    max_session_ms: int = 900_000
    idle_ms: int = 90_000
    resume_grace_ms: int = 60_000
    connect_deadline_ms: int = 9_000
    configure_deadline_ms: int = 8_000
    heartbeat_ms: int = 15_000
    stall_ms: int = 15_000
    clear_deadline_ms: int = 700
    first_word_ms: int = 20_000  # a model that thinks first sends nothing meanwhile
    stuck_response_ms: int = 10_000  # within what it says
    ahead_ms: int = 4_000
    max_answer_audio_ms: int = 300_000  # more than an answer's output tokens can be: an upstream out of order
    downlink_cap_bytes: int = 8 * 1024 * 1024
    uplink_pending_ms: int = 20_000
    rotate_after_ms: int = 55 * 60_000
    reconnect_tries: int = 5
    upstream_library: str = "websockets"
    responses_per_minute: int = 30

    @property
    def speaks(self) -> bool:
        """Whether answers are sound."""
        return self.modality == "voice" and not self.written_answers

    def turn_preset(self, name: str) -> dict[str, Any] | None:
        """What a preset's name means here, as the upstream's block."""
        return with_preset(self.site_turn_detection, name, self.turn_custom)

    @property
    def is_local(self) -> bool:
        """Whether the upstream runs on this machine: no key is needed, and nothing leaves it."""
        return urlsplit(self.upstream_url).hostname in LOOPBACK_HOSTS

    @property
    def engine(self) -> str:
        """ "openai", "local" or "other": what the admin filters by."""
        if self.is_local:
            return "local"
        return "openai" if urlsplit(self.upstream_url).hostname == "api.openai.com" else "other"


def default_turn_detection(settings: Any) -> dict[str, Any] | None:
    """The site's turn detection block in the upstream's own shape; None is push-to-talk."""
    if settings.REALTIME_VAD_TYPE == "none":
        return None
    if settings.REALTIME_VAD_TYPE == "semantic_vad":
        return {
            "type": "semantic_vad",
            "eagerness": settings.REALTIME_VAD_EAGERNESS,
            "create_response": True,
            "interrupt_response": True,
        }
    return {
        "type": "server_vad",
        "threshold": settings.REALTIME_VAD_THRESHOLD,
        "prefix_padding_ms": settings.REALTIME_VAD_PREFIX_PADDING_MS,
        "silence_duration_ms": settings.REALTIME_VAD_SILENCE_DURATION_MS,
        "create_response": True,
        "interrupt_response": True,
    }


def turn_detection_block(chosen: dict[str, Any]) -> dict[str, Any] | None:
    """A page's choice as the upstream's block; only what fits the kind is passed on."""
    if chosen["type"] == "none":
        return None
    names = ("eagerness",) if chosen["type"] == "semantic_vad" else (
        "threshold",
        "prefix_padding_ms",
        "silence_duration_ms",
    )  # fmt: skip
    block = {name: chosen[name] for name in names if name in chosen}
    return {"type": chosen["type"], **block, "create_response": True, "interrupt_response": True}


def with_preset(block: dict[str, Any] | None, preset: str, custom: dict[str, Any]) -> dict[str, Any] | None:
    """The site's block with a person's preset laid over it; `custom`: their own numbers, or empty."""
    change = TURN_PRESETS.get(preset, {})
    if preset == "custom" and custom and block is not None:
        return turn_detection_block(custom)
    if change is None or block is None:
        return None
    return {**block, **change} if block["type"] == "server_vad" else block


def relay_config(
    settings: Any,
    *,
    modality: str = "voice",
    voice: str = "",
    preset: str = "normal",
    turn_custom: dict[str, Any] | None = None,
    noise_reduction: str = "near_field",
    written_answers: bool = False,
    end_after_sec: int = 0,
    language: str = "",
    expected_language: str = "",
    history: tuple[Seed, ...] = (),
    first_position: int = 0,
    safety_identifier: str = "",
    tools: tuple[dict[str, Any], ...] = (),
) -> RelayConfig:
    """The configuration of one session from the settings as they are now.

    `end_after_sec`: of silence, if that is sooner than the site would end a call; 0: as the site does.
    """
    custom = turn_custom or {}
    idle_sec = min(end_after_sec or settings.REALTIME_IDLE_SEC, settings.REALTIME_IDLE_SEC)
    site = default_turn_detection(settings)
    return RelayConfig(
        upstream_url=settings.REALTIME_BASE_URL,
        api_key=settings.OPENAI_API_KEY,
        model=settings.REALTIME_MODEL,
        voice=voice or settings.REALTIME_VOICE,
        instructions=settings.REALTIME_INSTRUCTIONS,
        transcription_model=settings.REALTIME_TRANSCRIPTION_MODEL,
        language="" if language == ANY_LANGUAGE else language or settings.REALTIME_LANGUAGE,
        expected_language="" if expected_language == ANY_LANGUAGE else expected_language,
        noise_reduction=noise_reduction,
        written_answers=written_answers,
        modality=modality,
        may_record=settings.REALTIME_RECORDING,
        turn_detection=with_preset(site, preset, custom) if modality == "voice" else None,
        site_turn_detection=site,
        turn_custom=custom,
        max_output_tokens=settings.REALTIME_MAX_OUTPUT_TOKENS,
        tools=tools,
        history=history,
        first_position=first_position,
        safety_identifier=safety_identifier,
        max_session_ms=settings.REALTIME_MAX_SESSION_SEC * 1000,
        idle_ms=idle_sec * 1000,
        resume_grace_ms=settings.REALTIME_RESUME_GRACE_SEC * 1000,
        rotate_after_ms=settings.REALTIME_ROTATE_AFTER_SEC * 1000,
        responses_per_minute=settings.REALTIME_MAX_RESPONSES_PER_MIN,
        upstream_library=settings.REALTIME_UPSTREAM_LIBRARY,
    )
