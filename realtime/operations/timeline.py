"""The picture of a session: who spoke when, what was heard, what happened. Rows in, shapes in pixels out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

WIDTH_PX, MOST_PX = 1_000, 8_000
PX_PER_S = 8.0  # of sessions that are longer than the width holds
LABEL_PX = 90
PERSON_Y, ASSISTANT_Y, MARKS_Y, AXIS_Y, HEIGHT_PX = 14, 52, 100, 128, 146
MARK_PX = 17  # of a mark's circle; one that would cover the mark before it is put below
LANE_PX = 28
LEAST_PX = 1.5
TICK_PX = 42  # of a tick's text

# Event -> (kind of mark, what it says). Kinds are classes of the style sheet, letters tell them without colour.
MARKS: dict[str, tuple[str, str, Promise]] = {
    "interruption": ("interruption", "I", gettext_lazy("interrupted")),
    "tool.called": ("tool", "T", gettext_lazy("function called")),
    "tool.done": ("tool", "t", gettext_lazy("function done")),
    "upstream.error": ("error", "E", gettext_lazy("error of the upstream")),
    "upstream.lost": ("error", "U", gettext_lazy("upstream lost")),
    "upstream.rotated": ("reconnect", "R", gettext_lazy("upstream rotated")),
    "upstream.ready": ("ready", "↑", gettext_lazy("upstream ready")),
    "browser.resumed": ("reconnect", "B", gettext_lazy("browser came back")),
    "ended": ("end", "■", gettext_lazy("ended")),
}


class EventRow(Protocol):
    """What is read of an event's row."""

    name: str
    at_ms: int
    data: Any


class TurnRow(Protocol):
    """What is read of a turn's row."""

    response_id: str
    status: str
    input_ended_ms: int | None
    response_created_ms: int | None
    silence_ms: int | None
    endpointing_ms: int | None
    first_delta_ms: int | None
    playout_start_ms: int | None
    response_latency_ms: int | None
    heard_ms: int | None
    generated_ms: int | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle, or a mark with its letter; `title` is read out and shown beside the pointer."""

    kind: str
    x: float
    y: int
    width: float
    title: str
    letter: str = ""


@dataclass(slots=True)
class Picture:
    """Shapes, and where the seconds are: (x, text)."""

    width: float
    height: int = HEIGHT_PX
    shapes: list[Shape] = field(default_factory=list)
    marks: list[Shape] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a waterfall, in ms and in px."""

    kind: str
    ms: int
    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """From the end of speech to the first sound heard; the stages add up to `total_ms`."""

    response_id: str
    status: str
    at: str
    total_ms: int | None
    stages: tuple[Stage, ...]
    heard_ms: int | None
    generated_ms: int | None


def draw(length_ms: int, events: Iterable[EventRow], turns: Iterable[TurnRow]) -> Picture:
    """The whole session on one strip; long ones get a wider strip to scroll."""
    length_ms = max(1_000, length_ms)
    inner = min(MOST_PX, max(WIDTH_PX - LABEL_PX - 10, length_ms / 1000 * PX_PER_S))
    scale = inner / length_ms
    picture = Picture(width=round(LABEL_PX + inner + 10))

    def span(kind: str, y: int, start_ms: float, end_ms: float, what: str) -> None:
        start_ms, end_ms = max(0.0, start_ms), min(float(length_ms), max(start_ms, end_ms))
        times = _("%(start)s to %(end)s") % {"start": clock(start_ms), "end": clock(end_ms)}
        width = max(LEAST_PX, (end_ms - start_ms) * scale)
        picture.shapes.append(
            Shape(kind, round(LABEL_PX + start_ms * scale, 1), y, round(width, 1), f"{what}: {times}")
        )

    speaking: int | None = None
    away: int | None = None
    for event in events:
        match event.name:
            case "speech.started":
                speaking = event.at_ms
            case "speech.stopped":
                if speaking is not None:
                    span("person", PERSON_Y, speaking, event.at_ms, _("the person speaks"))
                speaking = None
            case "browser.gone":
                away = event.at_ms
        if event.name in ("browser.resumed", "ended") and away is not None:
            span("away", PERSON_Y, away, event.at_ms, _("the browser was away"))
            away = None
        if event.name in MARKS:
            kind, letter, text = MARKS[event.name]
            more = event.data.get("code") or event.data.get("name") or event.data.get("reason") or ""
            if "ms" in event.data:
                more = f"{more}, {event.data['ms']} ms"
            title = f"{clock(event.at_ms)} {text}{f' ({more})' if more else ''}"
            x = round(LABEL_PX + min(event.at_ms, length_ms) * scale, 1)
            before = picture.marks[-1] if picture.marks else None
            covers = before is not None and before.y == MARKS_Y and x - before.x < MARK_PX
            y = MARKS_Y + MARK_PX if covers else MARKS_Y
            picture.marks.append(Shape(kind, x, y, 0, title, letter))
    if speaking is not None:
        span("person", PERSON_Y, speaking, length_ms, _("the person speaks"))
    for turn in turns:
        _draw_answer(turn, span)
    step_s = next(
        s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 7_200, 86_400) if s * 1000 * scale >= 60
    )
    for second in range(0, length_ms // 1000 + 1, step_s):
        x = round(LABEL_PX + second * 1000 * scale, 1)
        picture.ticks.append((x, clock(second * 1000) if x + TICK_PX <= picture.width else ""))
    return picture


def _draw_answer(turn: TurnRow, span: Any) -> None:
    if turn.response_created_ms is None:
        return
    start = turn.response_created_ms + (turn.first_delta_ms or 0) + (turn.playout_start_ms or 0)
    if turn.first_delta_ms is not None:
        span("waiting", ASSISTANT_Y, turn.input_ended_ms or turn.response_created_ms, start, _("waiting"))
    heard, generated = turn.heard_ms or 0, turn.generated_ms or 0
    if heard:
        span("heard", ASSISTANT_Y, start, start + heard, _("heard"))
    if generated > heard:
        span("unheard", ASSISTANT_Y, start + heard, start + generated, _("made, not heard"))


def waterfalls(turns: Sequence[TurnRow], width_px: float = 300.0) -> list[Waterfall]:
    """A waterfall per turn, all on one scale: the slowest fills the width."""
    slowest = max((turn.response_latency_ms or 0 for turn in turns), default=0)
    scale = width_px / max(1, slowest)
    found = []
    for turn in turns:
        stages: list[Stage] = []
        x = 0.0
        for kind, ms, what in (
            ("silence", turn.silence_ms, _("end of speech until turn detection was sure of it")),
            ("endpointing", turn.endpointing_ms, _("from there to the answer's start")),
            ("model", turn.first_delta_ms, _("the answer's start to its first sound")),
            ("playout", turn.playout_start_ms, _("first sound to the first sample heard")),
        ):
            if ms is not None and turn.response_latency_ms is not None:
                stages.append(
                    Stage(kind, ms, round(x, 1), round(max(0.5, ms * scale), 1), f"{what}: {ms} ms")
                )
                x += ms * scale
        began = turn.input_ended_ms if turn.input_ended_ms is not None else turn.response_created_ms
        found.append(
            Waterfall(
                turn.response_id,
                turn.status,
                "" if began is None else clock(began),
                turn.response_latency_ms,
                tuple(stages),
                turn.heard_ms,
                turn.generated_ms,
            )
        )
    return found


def clock(ms: float) -> str:
    """Minutes, seconds and tenths since the session began."""
    tenths = int(ms // 100)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
