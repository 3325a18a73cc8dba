"""Pictures and drawn pages with the words that were read in them marked where they stand.

The marks are an SVG of our own over the picture, because the pages of sources allow no inline style. Boxes are
fractions of the picture's width and height; in the SVG's own units they are thousandths.
"""

from collections.abc import Iterable, Sequence

from rag.records import Box, Document, OcrLine, Page, Picture
from rag.text import one_line
from ui.html import Html, tag
from ui.links import page_address, picture_address, view_address
from ui.words import file_name

Span = tuple[int, int]

_UNITS = 1000
_RECTANGLES = 2000  # marked at most: a scan of a newspaper has fewer lines
_SAID = 200
_TITLE = 90
PAGE_WIDTH, PAGE_HEIGHT = 595, 842  # A4 in points; the browser takes the real shape once the page has come


def name_of(document: Document, picture: Picture) -> str:
    """What a picture is called: by its caption, its file, or its document, with its number where that has several."""
    own = one_line(picture.caption, _TITLE) or file_name(picture.path)
    if own:
        return own
    alone = document.title if document.kind == "image" else f"Picture in {document.title}"
    return alone if len(document.pictures) == 1 else f"{alone}, number {picture.number}"


def fitted(width: int, height: int, most_width: int, most_height: int) -> tuple[int, int]:
    """The size at which a picture fits the frame; never enlarged, never without extent."""
    scale = min(1.0, most_width / max(width, 1), most_height / max(height, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def touches(span: Span, other: Span | None) -> bool:
    """Whether two spans of text share a character."""
    return other is not None and span[0] < other[1] and other[0] < span[1]


def framed(document: Document, picture: Picture, passage: Span | None, most_width: int, most_height: int) -> Html:
    """A picture with the lines that were read in it; those of the passage stand out."""
    width, height = fitted(picture.width, picture.height, most_width, most_height)
    shown = tag(
        "img",
        src=view_address(document.id, picture.number, picture.digest),
        alt=name_of(document, picture),
        width=width,
        height=height,
        loading="lazy",
        decoding="async",
    )
    return tag("div", shown, marked_lines(document.text, picture.lines, passage), class_="frame")


def framed_page(document: Document, page: Page, passage: Span | None) -> Html:
    """A page as it is drawn, with the lines that were read on it and its figures, which lead to their own pages."""
    figures = [picture for picture in document.pictures if picture.page == page.number and picture.box is not None]
    shown = tag(
        "img",
        src=page_address(document.id, page.number, document.sha256),
        alt=f"Page {page.number} as it looks",
        width=PAGE_WIDTH,
        height=PAGE_HEIGHT,
        loading="lazy",
        decoding="async",
    )
    marks = [_mark(document.text, line, passage) for line in page.lines[:_RECTANGLES]]
    marks += [_figure(document, figure, passage) for figure in figures]
    return tag("div", shown, _overlay(marks), class_="frame drawn")


def marked_lines(text: str, lines: Sequence[OcrLine], passage: Span | None) -> Html | None:
    """The overlay for lines of one picture; nothing where no words were read."""
    return _overlay(_mark(text, line, passage) for line in lines[:_RECTANGLES]) if lines else None


def _overlay(marks: Iterable[Html]) -> Html:
    return tag("svg", *marks, class_="marks", viewBox=f"0 0 {_UNITS} {_UNITS}", preserveAspectRatio="none")


def _mark(text: str, line: OcrLine, passage: Span | None) -> Html:
    hit = touches((line.start, line.end), passage)
    said = tag("title", one_line(text[line.start : line.end], _SAID))
    return _rectangle(line.box, "hit" if hit else "line", said)


def _figure(document: Document, picture: Picture, passage: Span | None) -> Html:
    name = name_of(document, picture)
    hit = touches((picture.start, picture.end), passage)
    box = picture.box or Box(0, 0, 1, 1)
    rectangle = _rectangle(box, "hit figure" if hit else "figure", tag("title", name))
    return tag("a", rectangle, href=picture_address(document.id, picture.number), aria_label=name)


def _rectangle(box: Box, look: str, title: Html) -> Html:
    return tag(
        "rect",
        title,
        class_=look,
        x=_thousandths(box.left),
        y=_thousandths(box.top),
        width=_thousandths(box.right - box.left),
        height=_thousandths(box.bottom - box.top),
        vector_effect="non-scaling-stroke",
    )


def _thousandths(fraction: float) -> float:
    return round(min(max(fraction, 0.0), 1.0) * _UNITS, 1)
