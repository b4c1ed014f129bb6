"""Line charts as SVG, for the pages of docs/. Draws what it is given and measures nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, PLOT, LEFT, RIGHT, BOTTOM = 640, 230, 56, 20, 40
LEGEND = 15  # a row of it, above the plot
COLOURS = ("#6d28d9", "#0f766e", "#b45309", "#be123c")
PER_POINT = 200  # a longer line is thinned out


@dataclass
class Line:
    """One line of a chart, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = True  # what was measured at these points; a curve has none


@dataclass
class Axis:
    """The numbers along one side, from `ticks[0]` to `ticks[-1]`."""

    ticks: Sequence[float]
    label: str = ""
    words: Sequence[str] = field(default_factory=tuple)  # instead of the numbers
    log: bool = False

    def share(self, value: float) -> float:
        """How far along it a value lies, 0 to 1."""
        low, high, value = (
            (math.log10(one) for one in (self.ticks[0], self.ticks[-1], value))
            if self.log
            else (self.ticks[0], self.ticks[-1], value)
        )
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def named(self) -> list[tuple[float, str]]:
        """The ticks and what is written at them."""
        return list(zip(self.ticks, self.words or [f"{tick:,.10g}" for tick in self.ticks], strict=True))


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The whole picture."""
    top_of_plot = 20 + LEGEND * len(lines)
    height = top_of_plot + PLOT + BOTTOM

    def at(left: float, up: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * x.share(left),
            top_of_plot + PLOT * (1 - y.share(up)),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" font-size="12" fill="#333">{escape(title)}</text>',
    ]
    for tick, words in y.named():
        left, top = at(x.ticks[0], tick)
        parts.append(
            f'<line x1="{left:.1f}" y1="{top:.1f}" x2="{WIDTH - RIGHT}" y2="{top:.1f}" stroke="#ddd"/>'
        )
        parts.append(
            f'<text x="{left - 6:.1f}" y="{top + 4:.1f}" text-anchor="end" fill="#333">{escape(words)}</text>'
        )
    for tick, words in x.named():
        left, top = at(tick, y.ticks[0])
        parts.append(
            f'<text x="{left:.1f}" y="{top + 15:.1f}" text-anchor="middle" fill="#333">{escape(words)}</text>'
        )
    if x.label:
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{height - 8}" text-anchor="end" fill="#333">{escape(x.label)}</text>'
        )
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        step = max(1, len(line.points) // PER_POINT)
        points = [at(*point) for point in [*line.points[:-1:step], line.points[-1]]]
        drawn = " ".join(f"{left:.1f},{top:.1f}" for left, top in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{drawn}"/>')
        if line.dots:
            parts += [
                f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3" fill="{colour}"/>' for left, top in points
            ]
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{18 + LEGEND * number}" text-anchor="end" fill="{colour}">'
            f"{escape(line.name)}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def up_to(highest: float, steps: int = 4) -> list[float]:
    """Ticks from 0 to a round number that is not below `highest`."""
    raw = max(highest, 1e-9) / steps
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    return [step * number for number in range(steps + 1)]
