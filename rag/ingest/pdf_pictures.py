"""The figures of a PDF, drawn, read and described, and all text of a PDF put together."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest.clock import in_time
from rag.ingest.ocr import Ocr, OcrText
from rag.ingest.pdf_figures import Figure, mention_of, rect_of
from rag.ingest.pdf_file import POINTS, PdfFile, Rect
from rag.ingest.pdf_layout import Layout, Place
from rag.ingest.pdf_scans import is_blank, letters
from rag.ingest.surroundings import LONGEST, words_around
from rag.records import Box, Heading, OcrLine, Page, Picture
from rag.text import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_FIGURES = 500  # of a document
_DOTS = 200  # per inch, at which a figure is drawn ...
_SHORTEST, _LONGEST = 800, 2048  # ... unless its longest side would leave these bounds, in pixels
_LONGEST_CAPTION = 600  # characters
_LETTERS = 4  # of the text layer in a figure from which on its words are known without reading its pixels
_PARAGRAPH_END = "\n\n"


@dataclass(frozen=True, slots=True)
class Addition:
    """Words read from pixels of a page, put behind its text: those of `picture`, or of the page itself (None)."""

    page: int
    read: OcrText
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class Woven:
    """A document's text with everything that was read from pixels in its place."""

    text: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    pictures: tuple[Picture, ...]


def draw_figure(file: PdfFile, page: int, box: Box, max_megapixels: int) -> "Image":
    """What lies in `box` on page `page`. The same file, page and box give the same pixels on the same machine.

    Raises:
        UnreadableFile: there is no such page, or a picture on it is too large.
    """
    with file.page(page) as opened:
        width = (box.right - box.left) * opened.rect.width
        height = (box.bottom - box.top) * opened.rect.height
    longest = max(width, height)
    pixels = min(max(longest * _DOTS / POINTS, _SHORTEST), _LONGEST)
    return file.draw(page, pixels / longest, max_megapixels, box)


def digest_of(image: "Image") -> str:
    """What a figure is known by: the sha256 of its size and its RGB values, from left to right and down."""
    return hashlib.sha256(b"%dx%d:" % image.size + image.tobytes()).hexdigest()


def read_figures(
    file: PdfFile,
    layout: Layout,
    figures: Sequence[Sequence[Figure]],
    ocr: Ocr | None,
    scanned: Mapping[int, OcrText],
    max_megapixels: int,
) -> tuple[list[Addition], tuple[str, ...]]:
    """The figures of each page as pictures, with the words in them that the text does not have already; warnings.

    `figures[i]` are those of page i + 1, `scanned` what was read of whole pages: nothing on them is read again.
    """
    todo = [(number, figure) for number, page in enumerate(figures, 1) for figure in page]
    warnings: dict[str, None] = {}
    if len(todo) > MOST_FIGURES:
        warnings[f"it has {len(todo)} figures; those after the first {MOST_FIGURES} are left out"] = None
    found: list[Addition] = []
    done = 0
    for number, figure in in_time(todo[:MOST_FIGURES]):
        done += 1
        with file.page(number) as opened:
            page = opened.rect
        box = figure.rect.fractions(page)
        try:
            image = draw_figure(file, number, box, max_megapixels)
        except UnreadableFile as exc:
            warnings[exc.reason] = None
            continue
        if is_blank(image):
            continue
        known = number in scanned or _has_words(figure.rect, layout.places[number - 1], page)
        read = OcrText() if known or ocr is None else ocr.read(image)
        picture = _described(_picture(len(found) + 1, number, box, image), figure, layout, page, scanned)
        found.append(Addition(number, read, picture))
    if done < min(len(todo), MOST_FIGURES):
        warnings[
            f"the figures from page {todo[done][0]} on were not read, as there was no time left; "
            "set RAG_READ_SECONDS higher and add it again"
        ] = None
    return found, tuple(warnings)


def _picture(number: int, page: int, box: Box, image: "Image") -> Picture:
    preview = pictures.encode(image, pictures.PREVIEW_SIDE)
    return Picture(
        number, digest_of(image), image.width, image.height, start=0, end=0, at=0, page=page, box=box, preview=preview
    )


def weave(layout: Layout, additions: Sequence[Addition]) -> Woven:
    """The text of `layout` with the words of `additions` behind that of their pages, and all places moved along."""
    parts: list[str] = []
    pages: list[Page] = []
    headings: list[Heading] = []
    found: list[Picture] = []
    at = 0
    for page in layout.pages:
        body = layout.text[page.start : page.end]
        shift = at - page.start
        lines: tuple[OcrLine, ...] = ()
        for addition in (each for each in additions if each.page == page.number):
            start = at
            if addition.read.text:
                body += _PARAGRAPH_END if body else ""
                start = at + len(body)
                body += addition.read.text
            if addition.picture is None:
                lines = addition.read.moved(start)
            else:
                found.append(_placed(addition.picture, shift, start, addition.read))
        headings += (
            replace(each, start=each.start + shift) for each in layout.headings if page.start <= each.start < page.end
        )
        pages.append(Page(page.number, at, at + len(body), lines))
        parts.append(body)
        at += len(body) + len(_PARAGRAPH_END)
    return Woven(_PARAGRAPH_END.join(parts), tuple(pages), tuple(headings), tuple(found))


def _placed(picture: Picture, shift: int, start: int, read: OcrText) -> Picture:
    at = picture.at + shift
    if not read.text:
        return replace(picture, at=at, start=at, end=at)
    return replace(picture, at=at, start=start, end=start + len(read.text), lines=read.moved(start))


def _described(picture: Picture, figure: Figure, layout: Layout, page: Rect, scanned: Mapping[int, OcrText]) -> Picture:
    """`picture` with its caption, its place in the text and the words around it."""
    number = picture.page or 1
    span = layout.pages[number - 1]
    if number in scanned:
        return replace(picture, at=span.start, around=one_line(scanned[number].text, LONGEST))
    places = layout.places[number - 1]
    named = next((place.start for place in places if place.line == figure.caption), None)
    if named is None:
        at = end = _place(figure.rect, places, page, layout, span)
        caption = figure.caption.text if figure.caption else ""
    else:
        at, end = named, _paragraph_end(layout.text, named, span.end)
        caption = layout.text[at:end]
    near = words_around(layout.text, at, end, span.start, span.end)
    told = _mention(layout, number, caption, at, end)
    around = near if not told or told in near else one_line(f"{told} {near}", LONGEST)
    return replace(picture, at=at, caption=one_line(caption, _LONGEST_CAPTION), around=around)


def _place(figure: Rect, places: Sequence[Place], page: Rect, layout: Layout, span: Page) -> int:
    """Behind the paragraph above the figure; at the beginning of the page where there is none."""
    above = [
        (rect.bottom, place.start)
        for place in places
        if (rect := rect_of(place.line, page)).bottom <= figure.top + rect.height / 2
        and rect.left < figure.right
        and figure.left < rect.right
    ]
    return _paragraph_end(layout.text, max(above)[1], span.end) if above else span.start


def _mention(layout: Layout, number: int, caption: str, start: int, end: int) -> str:
    """What the text of this page and its neighbours says about the figure with this caption."""
    pattern = mention_of(caption)
    first, last = layout.pages[max(number - 2, 0)].start, layout.pages[min(number, len(layout.pages) - 1)].end
    for match in pattern.finditer(layout.text, first, last) if pattern else ():
        if not start <= match.start() < end:
            left = layout.text.rfind(_PARAGRAPH_END, first, match.start())
            left = max(left + len(_PARAGRAPH_END) if left >= 0 else first, match.start() - LONGEST // 4)
            return one_line(layout.text[left : _paragraph_end(layout.text, match.end(), last)], LONGEST // 2)
    return ""


def _paragraph_end(text: str, start: int, limit: int) -> int:
    end = text.find(_PARAGRAPH_END, start, limit)
    return end if end >= 0 else limit


def _has_words(figure: Rect, places: Sequence[Place], page: Rect) -> bool:
    """Whether the text layer holds the words that stand in a figure."""
    inside = (place.line.text for place in places if _centre_in(rect_of(place.line, page), figure))
    return sum(map(letters, inside)) >= _LETTERS


def _centre_in(inner: Rect, outer: Rect) -> bool:
    across, down = (inner.left + inner.right) / 2, (inner.top + inner.bottom) / 2
    return outer.left <= across <= outer.right and outer.top <= down <= outer.bottom
