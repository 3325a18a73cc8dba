"""Small plots as SVG text for a page, in its own colours: `var(--mark)`, `--strong`, `--good`, `--bad`, `--rule`.

Nothing is loaded and nothing runs. Every plot has a title that is read aloud, and the figures stand in a table too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 640
_LABEL, _ROW, _AXIS = 190, 24, 22  # pixels: the room for labels, a row's height, the room below


@dataclass(frozen=True, slots=True)
class Bar:
    """A value in [0, 1] with its interval."""

    label: str
    value: float
    low: float
    high: float
    strong: bool = False


def bars(title: str, rows: Sequence[Bar]) -> str:
    """A horizontal bar for each row, its interval as a whisker."""
    height = _ROW * len(rows) + _AXIS
    parts = [_line(_x(tick), 0, _x(tick), height - _AXIS, "grid") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for number, row in enumerate(rows):
        top, middle = number * _ROW + 4, number * _ROW + _ROW / 2
        kind = "bar strong" if row.strong else "bar"
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle + 4:.0f}" text-anchor="end">{escape(row.label)}</text>',
            f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{_x(row.value) - _LABEL:.1f}" height="{_ROW - 8}"/>',
            _line(_x(row.low), middle, _x(row.high), middle, "whisker"),
            f'<text x="{_WIDTH - 4}" y="{middle + 4:.0f}" text-anchor="end">{row.value:.3f}</text>',
        ]
    for tick in (0.0, 0.5, 1.0):
        parts.append(f'<text class="tick" x="{_x(tick):.0f}" y="{height - 6}" text-anchor="middle">{tick:g}</text>')
    return _svg(title, height, parts)


def differences(title: str, values: Sequence[float]) -> str:
    """A thin bar for each value in [-1, 1], the largest first: above the line better, below it worse."""
    half = 70
    ordered = sorted(values, reverse=True)
    step = _WIDTH / max(len(ordered), 1)
    parts = [
        f'<rect class="{"good" if value > 0 else "bad"}" x="{number * step:.2f}" '
        f'y="{half - max(value, 0) * half:.1f}" width="{max(step, 0.5):.2f}" height="{abs(value) * half:.1f}"/>'
        for number, value in enumerate(ordered)
        if value
    ]
    parts.append(_line(0, half, _WIDTH, half, "grid"))
    return _svg(title, 2 * half, parts)


def _x(value: float) -> float:
    """Where a value in [0, 1] lies between the labels and the figures."""
    return _LABEL + min(max(value, 0.0), 1.0) * (_WIDTH - _LABEL - 60)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img"><title>{escape(title)}</title>'
    return head + "".join(parts) + "</svg>"
