"""PDF: pages of text with headings, figures, information and embedded files."""

import io
import logging
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import pypdfium2 as pdfium

from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.attachments import attachment
from rag.ingest.document import make_document, only_unreadable
from rag.ingest.ocr import Ocr
from rag.ingest.pdf_figures import Figure, background, figures_of_page, is_caption, without_repeated
from rag.ingest.pdf_file import PdfFile, Rect, open_pdf
from rag.ingest.pdf_layout import Layout, Line, Outline, lay_out
from rag.ingest.pdf_pictures import Addition, read_figures, weave
from rag.ingest.pdf_scans import PageText, Scans, pages_named, read_scans
from rag.ingest.pdf_text import CHARACTERS, is_garbled, lines_of
from rag.records import Document, Source
from rag.text import encodable, one_line

if TYPE_CHECKING:
    import pypdf

_MOST_ATTACHMENTS = 200
_MOST_BOOKMARKS = 5000
_SENSELESS_TITLE = re.compile(
    r"(untitled|title|document|slide|presentation)\s*\d*|microsoft \w+ - .*|.*\.[a-z]{2,4}|"
    r"\(?(anonymous|unspecified)\)?|\W*",
    re.IGNORECASE,
)

logging.getLogger("pypdf").setLevel(logging.CRITICAL)


class PdfReader:
    """PDF files; kind "pdf". The text is PDFium's, or pypdf's for a page that PDFium garbles.

    With `ocr`, pages that have no text, or none that makes sense, are drawn and read like pictures, and so are the
    words in figures. Without `figures` there are no pictures. No picture beyond `max_megapixels` is looked at.
    """

    media_types = frozenset({media.PDF})

    def __init__(self, ocr: Ocr | None, max_megapixels: int, figures: bool = True) -> None:
        self._ocr = ocr
        self._max_megapixels = max_megapixels
        self._figures = figures

    @only_unreadable
    def read(self, source: Source) -> Document:
        with open_pdf(source) as file:
            pages, figures = _surveyed(file)
            scans = read_scans(file, pages, self._ocr, self._max_megapixels) if self._ocr else Scans()
            texts = [[] if page.number in scans.texts else page.text for page in pages]
            layout = lay_out(texts, _outline(file))
            additions, warnings = [Addition(number, text) for number, text in scans.texts.items()], scans.warnings()
            if self._figures:
                chosen = _with_pictorial(without_repeated(figures), pages, scans)
                found, told = read_figures(file, layout, chosen, self._ocr, scans.texts, self._max_megapixels)
                additions, warnings = additions + found, warnings + told
            information = _information(file)
            attachments = _attachments(file, information.get("Title", ""))
        woven = weave(layout, additions)
        title = information.get("Title", "")
        return make_document(
            source,
            "pdf",
            woven.text,
            _largest_heading(layout) if _SENSELESS_TITLE.fullmatch(title) else title,
            pages=woven.pages,
            headings=woven.headings,
            pictures=woven.pictures,
            fields=tuple(information.items()),
            attachments=attachments,
            warnings=(*warnings, *(() if self._ocr else _pages_without_text(layout))),
        )


def _surveyed(file: PdfFile) -> tuple[list[PageText], list[list[Figure]]]:
    """Each page's text, and what may be a figure on it."""
    second = _SecondOpinion(file.source)
    texts: list[PageText] = []
    figures: list[list[Figure]] = []
    for number in range(1, len(file) + 1):
        try:
            with file.page(number) as page:
                lines = lines_of(page)
                marks = list(page.marks(drawings=any(is_caption(line.text) for line in lines)))
                text, garbled = second.on(number, lines)
                texts.append(PageText(number, page.rect, text, garbled, background(page.rect, marks)))
                figures.append(figures_of_page(page.rect, marks, lines))
        except UnreadableFile:  # a broken page is told of as one without text
            texts.append(PageText(number, Rect(0.0, 0.0, 1.0, 1.0), []))
            figures.append([])
    return texts, figures


class _SecondOpinion:
    """pypdf's text of pages that PDFium garbles."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def on(self, number: int, lines: Sequence[Line]) -> tuple[Sequence[Line] | str, bool]:
        """The better text of page `number`, whose `lines` are PDFium's, and whether that is garbled too."""
        if not is_garbled("\n".join(line.text for line in lines)):
            return lines, False
        other = self._text(number)
        return (lines, True) if not other.strip() or is_garbled(other) else (other, False)

    def _text(self, number: int) -> str:
        try:
            return encodable(self._reader.pages[number - 1].extract_text().translate(CHARACTERS))
        except Exception:  # noqa: BLE001 pypdf fails in many ways on broken pages, and the first text stands then
            return ""

    @cached_property
    def _reader(self) -> "pypdf.PdfReader":
        import pypdf  # seldom needed

        reader = pypdf.PdfReader(io.BytesIO(self.source.data))
        if reader.is_encrypted:
            reader.decrypt("")
        return reader


def _with_pictorial(figures: list[list[Figure]], pages: Sequence[PageText], scans: Scans) -> list[list[Figure]]:
    """A page that was drawn and shows hardly a word is itself a figure, unless there are figures on it."""
    for number in scans.pictorial:
        page = pages[number - 1]
        figures[number - 1] = figures[number - 1] or [Figure(page.background or page.rect)]
    return figures


def _outline(file: PdfFile) -> Iterator[Outline]:
    for bookmark in islice(file.raw.get_toc(), _MOST_BOOKMARKS):
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            yield Outline(bookmark.get_title(), min(bookmark.level + 1, 6), page + 1)


def _information(file: PdfFile) -> dict[str, str]:
    """What the file says about itself: Title, Author, Subject, Keywords, dates..."""
    found = file.raw.get_metadata_dict(skip_empty=True)
    return {name: one_line(encodable(value), 500) for name, value in found.items() if value.strip()}


def _attachments(file: PdfFile, title: str) -> tuple[Source, ...]:
    found = (_attachment(file, number, title) for number in range(1, file.raw.count_attachments() + 1))
    return tuple(islice(filter(None, found), _MOST_ATTACHMENTS))


def _attachment(file: PdfFile, number: int, title: str) -> Source | None:
    try:
        embedded = file.raw.get_attachment(number - 1)
        return attachment(file.source, number, embedded.get_name(), bytes(embedded.get_data()), around=title)
    except pdfium.PdfiumError:
        return None  # it has a name and no content


def _largest_heading(layout: Layout) -> str | None:
    first = layout.pages[0].end if layout.pages else 0
    on_first_page = [heading for heading in layout.headings if heading.start < first]
    return min(on_first_page, key=lambda heading: heading.level).text if on_first_page else None


def _pages_without_text(layout: Layout) -> tuple[str, ...]:
    empty = [page.number for page in layout.pages if page.start == page.end]
    if not empty:
        return ()
    return (f"no text on {pages_named(empty)}; set RAG_OCR=true to read the text in pixels, and add it again",)
