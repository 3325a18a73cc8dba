"""Which of the marks on a PDF's pages are figures, and which line names each. Pure geometry."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.ingest.pdf_file import Mark, Rect
from rag.ingest.pdf_layout import Line

# Sizes in points, of which an inch has 72.
_BACKGROUND = 0.85  # of the page: what covers more lies under the text, or is a scan of the page
_LEAST_SIDE, _LEAST_AREA = 36, 50 * 50  # smaller pictures are icons, bullets and rules
_LEAST_UNNAMED_SIDE, _LEAST_UNNAMED_AREA = 54, 72 * 72  # without a caption more is asked for
_LEAST_DRAWING = (72, 36)  # across and down
_LONGEST_SHAPE = 10  # longer than this many times its width, it is a banner or a rule
_TOUCHING = 2.0  # tiles and strips of one picture
_SAME_DRAWING = 14.0  # lines and areas of one drawing
_NEAR_BELOW, _NEAR_ABOVE = 50.0, 40.0  # from a figure to a caption below or above it
_OVERLAP = 6.0  # by which a figure's frame may reach into its caption
_LABEL_GAP, _LABEL_WIDTH = 8.0, 0.6  # words this near a drawing, and no wider than this share of it, belong to it
_REPEATED = 3  # on so many pages a picture is a logo
_WORD_OF_FIGURES = (
    r"(?i:figures?|figs?\.?|abbildung|abb\.?|schaubild|figura|schéma|diagram|chart|exhibit|plate)\s*(?:no\.\s*)?"
)
_NUMBER = r"(?P<number>[A-Z]?\d+(?:[.\-]\d+)*[a-z]?)"
# "Figure 3: A kettle" and "Fig. 3" name a figure; "Figure 3 shows a kettle" is a sentence about one.
_CAPTION = re.compile(rf"{_WORD_OF_FIGURES}{_NUMBER}(?:\s*[.:|)\]–—]|\s*$|\s+-|\s+(?=[^\W\d_a-zà-ÿ]))")


@dataclass(frozen=True, slots=True)
class Figure:
    """A place on a page that is a picture; `caption` is the first line of what names it.

    `contents` tells pictures apart: a number that is the same where the same picture lies on another page, 0 where
    that is not known.
    """

    rect: Rect
    contents: int = 0
    caption: Line | None = None


def is_caption(text: str) -> bool:
    """Whether a line of a page begins the caption of a figure."""
    return _CAPTION.match(text) is not None


def mention_of(caption: str) -> re.Pattern[str] | None:
    """A pattern for the places where a text speaks of the figure with this caption; None: it has no number."""
    named = _CAPTION.match(caption)
    return re.compile(rf"\b{_WORD_OF_FIGURES}{re.escape(named['number'])}\b") if named else None


def rect_of(line: Line, page: Rect) -> Rect:
    """A line's place with y down, as that of marks."""
    return Rect(line.left, page.bottom - line.bottom - line.height, line.right, page.bottom - line.bottom)


def background(page: Rect, marks: Sequence[Mark]) -> Rect | None:
    """The picture, whole or in strips, that covers a page: the scan of it, or what its text is printed on."""
    pieces = merged((Figure(mark.rect) for mark in marks if mark.kind == "picture"), _TOUCHING)
    return next((piece.rect for piece in pieces if _covers(piece.rect, page)), None)


def figures_of_page(page: Rect, marks: Sequence[Mark], lines: Sequence[Line]) -> list[Figure]:
    """The figures on a page from top to bottom: pictures, and drawings near a caption.

    Tiles and strips of one picture are one. What covers the page, tiny things, banners and rules are none.
    """
    small = [mark for mark in marks if not _covers(mark.rect, page)]
    pictures = merged((Figure(m.rect, m.content) for m in small if m.kind == "picture"), _TOUCHING)
    drawings = merged((Figure(m.rect) for m in small if m.kind == "drawing"), _SAME_DRAWING)
    pictures = [each for each in pictures if not _covers(each.rect, page)]
    captions = {line: rect_of(line, page) for line in lines if is_caption(line.text)}
    named = [_named(each, captions) for each in pictures]
    drawn = [_named(each, captions) for each in drawings if not _covers(each.rect, page)]
    whole = [_drawing(line, named, drawn, lines, page) for line in captions]
    found = [each for each in whole if each and _is_drawing(each.rect)]
    alone = [each for each in named if _is_large(each) and not any(_lies_in(each.rect, other.rect) for other in found)]
    return sorted((*found, *alone), key=lambda each: (each.rect.top, each.rect.left))


def without_repeated(pages: Sequence[Sequence[Figure]]) -> list[list[Figure]]:
    """The figures of each page without those that lie on three pages or more, unless a caption names them."""
    counts = Counter(content for page in pages for content in {figure.contents for figure in page})
    return [
        [each for each in page if each.caption or not each.contents or counts[each.contents] < _REPEATED]
        for page in pages
    ]


def merged(figures: Iterable[Figure], gap: float) -> list[Figure]:
    """Figures of which no two are nearer than `gap`, which those given make up.

    Takes time in proportion to the number given times the number that is left, in one array operation each.
    """
    kept: list[Figure] = []
    edges = np.empty((64, 4))
    for figure in figures:
        grown = figure
        while (near := _near(edges[: len(kept)], grown.rect, gap)).size:
            for index in reversed(near):
                other = kept[index]
                grown = Figure(grown.rect.union(other.rect), _together(grown.contents, other.contents))
                kept[index], edges[index] = kept[-1], edges[len(kept) - 1]
                kept.pop()
        if len(kept) == len(edges):
            edges = np.concatenate((edges, np.empty_like(edges)))
        edges[len(kept)] = (grown.rect.left, grown.rect.top, grown.rect.right, grown.rect.bottom)
        kept.append(grown)
    return kept


def _near(edges: NDArray[np.float64], rect: Rect, gap: float) -> NDArray[np.intp]:
    apart = (
        (edges[:, 0] > rect.right + gap)
        | (edges[:, 2] < rect.left - gap)
        | (edges[:, 1] > rect.bottom + gap)
        | (edges[:, 3] < rect.top - gap)
    )
    return np.flatnonzero(~apart)


def _together(first: int, second: int) -> int:
    return first + second if first and second else 0


def _covers(rect: Rect, page: Rect) -> bool:
    return rect.common(page).area > page.area * _BACKGROUND


def _is_drawing(rect: Rect) -> bool:
    return rect.width >= _LEAST_DRAWING[0] and rect.height >= _LEAST_DRAWING[1]


def _is_large(figure: Figure) -> bool:
    width, height = figure.rect.width, figure.rect.height
    if max(width, height) > _LONGEST_SHAPE * min(width, height):
        return False
    side, area = (_LEAST_SIDE, _LEAST_AREA) if figure.caption else (_LEAST_UNNAMED_SIDE, _LEAST_UNNAMED_AREA)
    return min(width, height) >= side and width * height >= area


def _named(figure: Figure, captions: dict[Line, Rect]) -> Figure:
    """`figure` with the nearest caption below or above it."""
    near = [
        (distance, line) for line, rect in captions.items() if (distance := _distance(figure.rect, rect)) is not None
    ]
    return replace(figure, caption=min(near, key=lambda pair: pair[0])[1]) if near else figure


def _distance(figure: Rect, caption: Rect) -> float | None:
    """How far a caption is from a figure; one above it counts as farther, which is rarer. None: not its caption."""
    if min(figure.right, caption.right) <= max(figure.left, caption.left):
        return None
    below, above = caption.top - figure.bottom, figure.top - caption.bottom
    if -_OVERLAP <= below <= _NEAR_BELOW:
        return max(below, 0.0)
    return max(above, 0.0) + _NEAR_ABOVE / 2 if -_OVERLAP <= above <= _NEAR_ABOVE else None


def _drawing(
    caption: Line, pictures: Sequence[Figure], drawings: Sequence[Figure], lines: Sequence[Line], page: Rect
) -> Figure | None:
    """All that one caption names, with its labels, if lines and areas are among it: pictures alone stay apart."""
    drawn = [each.rect for each in drawings if each.caption == caption]
    if not drawn:
        return None
    rect = drawn[0]
    for other in (*drawn, *(each.rect for each in pictures if each.caption == caption)):
        rect = rect.union(other)
    named = rect_of(caption, page)
    for label in _labels(rect, named, lines, page):
        rect = rect.union(label)
    if (rect.top + rect.bottom) / 2 < named.top:
        rect = replace(rect, bottom=min(rect.bottom, named.top))
    else:
        rect = replace(rect, top=max(rect.top, named.bottom))
    return Figure(rect, caption=caption)


def _labels(figure: Rect, caption: Rect, lines: Sequence[Line], page: Rect) -> Iterator[Rect]:
    """Short lines in or beside a drawing, and all that stand between it and its caption."""
    between = Rect(figure.left, figure.bottom - _OVERLAP, figure.right, caption.top)
    for line in lines:
        rect = rect_of(line, page)
        near = _gap(figure, rect) <= _LABEL_GAP and rect.width <= figure.width * _LABEL_WIDTH
        if (near or _lies_in(rect, between)) and not is_caption(line.text):
            yield rect


def _gap(first: Rect, second: Rect) -> float:
    """The larger of the distances across and down; below 0 where they overlap."""
    common = first.common(second)
    return max(-common.width, -common.height)


def _lies_in(inner: Rect, outer: Rect) -> bool:
    return inner.common(outer).area > inner.area / 2
