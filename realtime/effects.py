"""What a session asks its relay to do, and what it asks the journal to keep. Plain values, no behaviour.

The two of the audio path are tuples: one is made for each frame, and a frozen dataclass takes three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class SendUpstream:
    """One control event for the upstream. `overtakes`: may pass audio that still waits (cancel, truncate, delete)."""

    event: dict[str, Any]
    overtakes: bool = False


class SendUpstreamAudio(NamedTuple):
    """Microphone audio, PCM16. `keep`: audio of a resume, which the bound of the way up must not drop."""

    pcm: bytes
    keep: bool = False


@dataclass(frozen=True, slots=True)
class SendBrowser:
    """One JSON message for the page. `overtakes`: passes audio that still waits, and drops it when it is a clear."""

    message: dict[str, Any]
    overtakes: bool = False


class SendBrowserAudio(NamedTuple):
    """Speech for the page, PCM16, of the item last begun."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class OpenUpstream:
    """Dial the upstream after so many ms."""

    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class WarmUpstream:
    """Dial a second upstream beside the live one, send it these events and say when it is configured: a rotation."""

    events: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class SwapUpstream:
    """From now on the warmed upstream is the live one; the old one is closed."""


@dataclass(frozen=True, slots=True)
class CloseUpstream:
    """Close the upstream socket; the session goes on."""


@dataclass(frozen=True, slots=True)
class CloseBrowser:
    """Close the page's socket; the session goes on and may be resumed."""

    close_code: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """Hold so much of the budgets for what `reference` names, instead of what is held for it so far.

    `usd` None: its price is not known. `seconds`: the time of the call from its beginning. The word comes back through
    `Session.reserved`.
    """

    reference: str
    usd: Decimal | None
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class RunTool:
    """Call a server-side function; its result comes back through `Session.tool_result`."""

    name: str
    call_id: str
    arguments: str


@dataclass(frozen=True, slots=True)
class KeepAudio:
    """Audio that the person wants kept: from sample `first` of its lane on, which sounded `at_ms` into the session.

    `lane` is "said" (counted over the session, `item_id` empty) or "heard" (counted over the item).
    """

    lane: str
    item_id: str
    first: int
    at_ms: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class KeepSpan:
    """Of the kept audio, samples [first, end) of "said" are this item."""

    item_id: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class End:
    """The session is over: close the upstream, then the page, then store the reason."""

    reason: str
    close_code: int


@dataclass(frozen=True, slots=True)
class RecordMessage:
    """Keep the state of one item. Repeating it changes nothing."""

    item_id: str
    position: int
    role: str
    modality: str
    status: str
    text: str
    heard_chars: int | None = None
    heard_ms: int | None = None
    generated_ms: int | None = None
    client_id: str = ""
    audio_ms: int | None = None  # so much of its sound is kept
    unsure: bool = False  # its recogniser was not sure of the words


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Keep that something happened: a name and numbers, never content."""

    at_ms: int
    name: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordTurn:
    """Keep the timings of one answered turn."""

    response_id: str
    item_id: str
    status: str
    input_ended_ms: int | None = None  # since the session began, as the next one; the others are durations
    response_created_ms: int | None = None
    silence_ms: int | None = None
    endpointing_ms: int | None = None
    first_delta_ms: int | None = None
    playout_start_ms: int | None = None
    response_latency_ms: int | None = None
    heard_ms: int | None = None
    generated_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Keep what one response or transcription used."""

    meter: str
    reference: str
    text_in: int = 0
    audio_in: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    text_out: int = 0
    audio_out: int = 0
    seconds: float = 0.0
    image_in: int = 0
    cached_image: int = 0
    reasoning_out: int = 0
    model: str = ""
    estimated: bool = False  # the upstream never told: at most so much
    settles: str = ""  # the reservation that goes with it


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what was reserved: it came to nothing that could be charged."""

    reference: str


@dataclass(frozen=True, slots=True)
class RecordAudio:
    """Keep that audio of this session is kept from now on, so that it is found and deleted with what it belongs to."""


@dataclass(frozen=True, slots=True)
class RecordEnd:
    """Keep the end of the session and its counters."""

    reason: str
    counters: dict[str, Any] = field(default_factory=dict)


Record = RecordMessage | RecordEvent | RecordTurn | RecordUsage | Release | RecordAudio | RecordEnd
Effect = (
    SendUpstream
    | SendUpstreamAudio
    | SendBrowser
    | SendBrowserAudio
    | OpenUpstream
    | WarmUpstream
    | SwapUpstream
    | CloseUpstream
    | CloseBrowser
    | Reserve
    | RunTool
    | KeepAudio
    | KeepSpan
    | End
    | Record
)
