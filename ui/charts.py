"""Lines over time, drawn as SVG of our own: the colours are the page's, so they follow light and dark.

The drawing is stretched to the width that there is; lines and dots keep their thickness, and words stand beside it in
HTML, so that they stay readable at any width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ui.html import Html, join, tag

_WIDTH, _HEIGHT = 600.0, 160.0  # units of the drawing
_MARGIN = 6.0  # above and below, so that dots are whole
_GRID = 4  # spaces between the horizontal lines
_DOTS = 40  # points up to which each is marked
_MOST = 240  # points that are drawn of a line

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, its points (x, y) from left to right, and what is told of each when it is pointed at."""

    name: str
    points: Sequence[Point]
    told: Sequence[str] = field(default=())


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    y_words: Callable[[float], str],
    x_ends: tuple[str, str],
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
) -> Html | None:
    """The chart with its scales and, for several lines, their names; None where there is nothing to draw.

    Args:
        label: what it shows, for those who hear it; what the lines end at is added.
        y_words: a value as the scale writes it.
        x_ends: what stands at the left and the right end.
        y_range: lowest and highest value of the scale, taken from the points where it is left out.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    left, right = x_range or _range([x for line in lines for x, _ in line.points])
    low, high = y_range or _range([y for line in lines for _, y in line.points])

    def place(point: Point) -> Point:
        x, y = point
        return _share(x, left, right) * _WIDTH, _MARGIN + (1 - _share(y, low, high)) * (_HEIGHT - 2 * _MARGIN)

    drawn = [_line(line, number, place) for number, line in enumerate(lines, start=1)]
    ends = "; ".join(f"{line.name} ends at {y_words(line.points[-1][1])}" for line in lines)
    picture = tag(
        "svg",
        *_grid(),
        *drawn,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{label}: {ends}",
    )
    scale = (tag("span", y_words(high - (high - low) * step / _GRID)) for step in range(_GRID + 1))
    return tag(
        "figure",
        _names(lines) if len(lines) > 1 else None,
        tag("div", *scale, class_="chart-y", aria_hidden="true"),
        picture,
        tag("div", *(tag("span", end) for end in x_ends), class_="chart-x", aria_hidden="true"),
        class_="chart",
    )


def thinned(points: Sequence[Point], most: int = _MOST) -> list[Point]:
    """At most `most` points: each the mean of as many neighbours as it takes, the last one as it is."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // most)
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return [*means[:-1], points[-1]]


def _line(line: Line, number: int, place: Callable[[Point], Point]) -> Html:
    at = [place(point) for point in line.points]
    way = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    dots = _dots(line, at) if len(at) <= _DOTS else []
    return tag("g", tag("path", d=way, class_="curve"), *dots, class_=f"line-{number}")


def _dots(line: Line, at: Sequence[Point]) -> list[Html]:
    """A line of no length with a round end is a dot that stays round however the drawing is stretched."""
    told = [*line.told, *[""] * (len(at) - len(line.told))]
    return [
        tag("path", tag("title", words) if words else None, d=f"M{x:.1f} {y:.1f}h0", class_="dot")
        for (x, y), words in zip(at, told, strict=False)
    ]


def _grid() -> list[Html]:
    inner = _HEIGHT - 2 * _MARGIN
    heights = (_MARGIN + inner * step / _GRID for step in range(_GRID + 1))
    return [tag("path", d=f"M0 {y:.1f}H{_WIDTH:g}", class_="grid") for y in heights]


def _names(lines: Sequence[Line]) -> Html:
    named = (
        tag("span", tag("span", class_=f"swatch line-{number}", aria_hidden="true"), line.name)
        for number, line in enumerate(lines, start=1)
    )
    return tag("figcaption", join(named))


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest; around a single value some room, so that it is not divided by zero."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _share(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5
