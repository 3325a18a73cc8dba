"""Pages of a PDF that have no text to take: they are drawn and read like pictures, as long as there is time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from rag.errors import UnreadableFile
from rag.ingest.clock import in_time
from rag.ingest.ocr import Ocr, OcrText
from rag.ingest.pdf_file import POINTS, PdfFile, Rect
from rag.ingest.pdf_layout import Line

if TYPE_CHECKING:
    from PIL.Image import Image

_DOTS = 200  # per inch, at which pages are drawn to be read
_LONGEST_SIDE = 6000  # pixels of a drawn page
_FEW_LETTERS = 50  # a scan may carry so many in a stamp or page number that was put on it
_FEW_WORDS = 30  # letters and digits read on a page; with fewer it is a picture rather than a text
_BLANK = 24  # of 255 between the darkest and the lightest point of a page without anything on it


@dataclass(frozen=True, slots=True)
class PageText:
    """What the text layer of page `number` gave: lines, or plain text where there is no layout.

    `garbled` says that it makes no sense, `background` is the picture that lies under all of the page, if one does.
    """

    number: int
    rect: Rect
    text: Sequence[Line] | str
    garbled: bool = False
    background: Rect | None = None

    @property
    def letters(self) -> int:
        lines = (self.text,) if isinstance(self.text, str) else (line.text for line in self.text)
        return sum(map(letters, lines))

    @property
    def needs_reading(self) -> bool:
        """Whether what stands on it may be in its pixels only."""
        return self.garbled or not self.letters or (self.background is not None and self.letters < _FEW_LETTERS)


@dataclass
class Scans:
    """`texts`: what was read, by page; `pictorial`: pages that show something, but hardly any words.

    `unread`: those for which there was no time; `refused`: why others were not drawn.
    """

    texts: dict[int, OcrText] = field(default_factory=dict)
    pictorial: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def warnings(self) -> tuple[str, ...]:
        found = list(self.refused)
        if self.unread:
            many = len(self.unread) > 1
            found.append(
                f"{pages_named(self.unread)} {'were' if many else 'was'} not read, as there was no time left for "
                f"{'their' if many else 'its'} text in pixels; set RAG_READ_SECONDS higher and add it again"
            )
        return tuple(found)


def read_scans(file: PdfFile, pages: Sequence[PageText], ocr: Ocr, max_megapixels: int) -> Scans:
    """The words in the pixels of those of `pages` that need it.

    A page whose text layer holds nearly as much as its pixels keeps the layer.
    """
    scans, todo = Scans(), [page for page in pages if page.needs_reading]
    done = 0
    for page in in_time(todo):
        done += 1
        try:
            image = file.draw(page.number, _scale(page.rect, max_megapixels), max_megapixels)
        except UnreadableFile as exc:
            scans.refused.append(exc.reason)
            continue
        if is_blank(image):
            continue
        read = ocr.read(image)
        if letters(read.text) > (0 if page.garbled else page.letters * 2):
            scans.texts[page.number] = read
        if page.number in scans.texts or not page.letters:
            scans.pictorial += [page.number] if letters(read.text) < _FEW_WORDS else []
    scans.unread = [page.number for page in todo[done:]]
    return scans


def letters(text: str) -> int:
    """How many letters and digits there are in `text`."""
    return sum(map(str.isalnum, text))


def is_blank(image: "Image") -> bool:
    """Whether nothing is to be seen: all of it has nearly the same lightness."""
    darkest, lightest = image.convert("L").getextrema()
    return bool(lightest - darkest < _BLANK)  # type: ignore[operator]  # one band has one pair


def pages_named(numbers: Sequence[int]) -> str:
    """[1, 2, 3, 7] as "pages 1-3, 7"."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]))
    named = ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs)
    return f"page{'s' if len(numbers) > 1 else ''} {named}"


def _scale(page: Rect, max_megapixels: int) -> float:
    """Pixels to the point."""
    fitting = math.sqrt(max_megapixels * 1_000_000 / page.area) * 0.999  # whole pixels are rounded up
    return min(_DOTS / POINTS, fitting, _LONGEST_SIDE / max(page.width, page.height))
