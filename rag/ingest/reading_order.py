"""In which order pieces of text found on a picture are read: blocks, their rows, and the pieces of a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SAME_ROW = 0.5  # of the lower piece's height, by which two pieces of one row overlap at least
_GUTTER = 0.8  # of a line's height: the least space between two columns
_FEWEST_LINES = 3  # of a column
_MOST_CROSSING = 0.2  # share of the pieces that may cross a gutter: headings above columns, captions below them
_LEVEL = 0.25  # of a line's height: pieces whose middles differ by less stand level
_TABLE = 0.6  # share of pieces with a level neighbour across the gutter from which on the rows belong together
_PROSE_LETTERS, _PROSE_WIDTH = 20, 0.75  # prose: letters of the median line, and its width beside the widest one's
_BLANK_LINE = 0.9  # of a line's height: rows further apart are paragraphs


@dataclass(frozen=True, slots=True)
class Piece:
    """Words that were found in one stretch. The corners go round from the upper left one, in pixels: float[4, 2]."""

    text: str
    score: float
    corners: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A piece with its upright rectangle after the page was set straight."""

    piece: Piece
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top


def paragraphs(pieces: Sequence[Piece]) -> list[list[list[Piece]]]:
    """`pieces` as paragraphs of rows of pieces, in the order in which they are read.

    Pieces on one level are one row, as "TOTAL" and "30.90" on a receipt are. Columns of prose, and blocks whose lines
    do not stand level with each other, are read one after the other, from the left to the right. A page that was
    photographed at a small angle is set straight first. Quadratic in the number of pieces.
    """
    placed = _set_straight(pieces)
    return [
        [[each.piece for each in row] for row in paragraph]
        for block in _blocks(placed)
        for paragraph in _split_at_blanks(_rows(block))
    ]


def _set_straight(pieces: Sequence[Piece]) -> list[_Placed]:
    if not pieces:
        return []
    corners = np.stack([piece.corners for piece in pieces]).astype(np.float64)
    along = (corners[:, 1] - corners[:, 0] + corners[:, 2] - corners[:, 3]) / 2
    down = (corners[:, 3] - corners[:, 0] + corners[:, 2] - corners[:, 1]) / 2
    widths, heights = np.hypot(*along.T), np.hypot(*down.T)
    angle = _weighted_median(np.arctan2(along[:, 1], along[:, 0]), widths)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centers = corners.mean(axis=1) @ turn
    return [
        _Placed(piece, x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for piece, (x, y), width, height in zip(pieces, centers, widths, heights, strict=True)
    ]


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])


def _blocks(placed: list[_Placed]) -> Iterator[list[_Placed]]:
    """Stretches of text that are read as one, in order."""
    gutter = _gutter(placed)
    if gutter is None:
        yield placed
        return
    left: list[_Placed] = []
    right: list[_Placed] = []
    crossing: list[_Placed] = []
    for each in sorted(placed, key=lambda each: each.middle):
        if each.left < gutter < each.right:
            for column in filter(None, (left, right)):
                yield from _blocks(column)
            left, right = [], []
            crossing.append(each)
            continue
        if crossing:
            yield crossing
            crossing = []
        (left if each.right <= gutter else right).append(each)
    for rest in filter(None, (left, right)):
        yield from _blocks(rest)
    if crossing:
        yield crossing


def _gutter(placed: list[_Placed]) -> float | None:
    """The x that parts two columns best, None where there are none."""
    if len(placed) < 2 * _FEWEST_LINES:
        return None
    lefts = np.array([each.left for each in placed])
    rights = np.array([each.right for each in placed])
    line = float(np.median([each.height for each in placed]))
    best: tuple[float, float] | None = None
    for edge in sorted(set(rights))[:-1]:
        at = edge + line * _GUTTER / 2
        before, behind = rights <= at, lefts >= at
        crossing = len(placed) - int(before.sum()) - int(behind.sum())
        if min(before.sum(), behind.sum()) < _FEWEST_LINES or crossing > len(placed) * _MOST_CROSSING:
            continue
        start, end = rights[before].max(), lefts[behind].min()
        if end - start < line * _GUTTER or (best and end - start <= best[0]):
            continue
        first = [each for each, inside in zip(placed, before, strict=True) if inside]
        second = [each for each, inside in zip(placed, behind, strict=True) if inside]
        if _are_columns(first, second, line):
            best = (end - start, (start + end) / 2)
    return best[1] if best else None


def _are_columns(first: list[_Placed], second: list[_Placed], line: float) -> bool:
    """Whether they are read one after the other, not row by row as a table is."""
    top = max(min(each.top for each in side) for side in (first, second))
    bottom = min(max(each.bottom for each in side) for side in (first, second))
    if sum(top < each.middle < bottom for each in min(first, second, key=len)) < _FEWEST_LINES:
        return False  # they hardly stand beside each other
    if _is_prose(first) and _is_prose(second):
        return True
    fewer, more = sorted((first, second), key=len)
    middles = np.array([each.middle for each in more])
    level = [np.abs(middles - each.middle).min() < line * _LEVEL for each in fewer]
    return bool(sum(level) < len(level) * _TABLE)


def _is_prose(column: list[_Placed]) -> bool:
    widths = [each.right - each.left for each in column]
    letters = float(np.median([len(each.piece.text) for each in column]))
    return letters >= _PROSE_LETTERS and float(np.median(widths)) >= max(widths) * _PROSE_WIDTH


def _rows(block: list[_Placed]) -> list[list[_Placed]]:
    """The rows from top to bottom, each from left to right."""
    rows: list[list[_Placed]] = []
    for each in sorted(block, key=lambda each: each.middle):
        row = next((row for row in reversed(rows[-3:]) if _belongs(each, row)), None)
        if row is None:
            rows.append([each])
        else:
            row.append(each)
    return [sorted(row, key=lambda each: each.left) for row in rows]


def _belongs(each: _Placed, row: list[_Placed]) -> bool:
    nearest = min(row, key=lambda other: max(other.left - each.right, each.left - other.right))
    beside = nearest.right - each.left < each.height / 2 or each.right - nearest.left < each.height / 2
    overlap = min(each.bottom, nearest.bottom) - max(each.top, nearest.top)
    return beside and overlap >= _SAME_ROW * min(each.height, nearest.height)


def _split_at_blanks(rows: list[list[_Placed]]) -> Iterator[list[list[_Placed]]]:
    paragraph: list[list[_Placed]] = []
    for row in rows:
        if paragraph and _gap(paragraph[-1], row) > _BLANK_LINE * _height(row):
            yield paragraph
            paragraph = []
        paragraph.append(row)
    if paragraph:
        yield paragraph


def _height(row: list[_Placed]) -> float:
    return sorted(each.height for each in row)[len(row) // 2]


def _gap(above: list[_Placed], below: list[_Placed]) -> float:
    return min(each.top for each in below) - max(each.bottom for each in above)
