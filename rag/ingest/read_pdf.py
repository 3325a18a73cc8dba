"""PDF: pages of text with headings, information and embedded files."""

import io
import logging
import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import TYPE_CHECKING

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.attachments import attachment
from rag.ingest.document import make_document, only_unreadable
from rag.ingest.ocr import Ocr
from rag.ingest.pdf_layout import HYPHEN, Layout, Line, Outline, lay_out
from rag.records import Document, Source
from rag.text import encodable, one_line

if TYPE_CHECKING:
    import pypdf

_MOST_ATTACHMENTS = 200
_MOST_BOOKMARKS = 5000
_GARBLED = 0.1  # share of characters without a meaning from which on the second library is asked
_LONGEST_WORD = 25  # letters per word on average, from which on the spaces must have been lost
_SENSELESS_TITLE = re.compile(
    r"(untitled|title|document|slide|presentation)\s*\d*|microsoft \w+ - .*|.*\.[a-z]{2,4}|"
    r"\(?(anonymous|unspecified)\)?|\W*",
    re.IGNORECASE,
)
_LINE_FEED, _RETURN, _BREAKING_HYPHENS = 10, 13, (2, 0xFFFE)
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}
_CHARACTERS = str.maketrans(
    {**{chr(code): text for code, text in _LIGATURES.items()}, "\ufffe": HYPHEN, "\x00": "\ufffd"}
)
_SPACES = re.compile(r"[\s\x00\x01\x03-\x1f\x7f-\x9f]+")  # and control characters, of which HYPHEN is one to keep

_pdfium_lock = threading.Lock()  # PDFium may be used by one thread at a time
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


class PdfReader:
    """PDF files; kind "pdf". The text is PDFium's, or pypdf's for a page that PDFium garbles."""

    media_types = frozenset({media.PDF})

    def __init__(self, ocr: Ocr | None, max_megapixels: int) -> None:
        self._ocr = ocr
        self._max_megapixels = max_megapixels

    @only_unreadable
    def read(self, source: Source) -> Document:
        with _pdfium_lock, _Pdf(source) as pdf:
            layout = lay_out(list(pdf.pages()), pdf.outline())
            information = pdf.information()
            attachments = pdf.attachments()
        title = information.get("Title", "")
        return make_document(
            source,
            "pdf",
            layout.text,
            _largest_heading(layout) if _SENSELESS_TITLE.fullmatch(title) else title,
            pages=layout.pages,
            headings=layout.headings,
            fields=tuple(information.items()),
            attachments=attachments,
            warnings=tuple(filter(None, (_pages_without_text(layout),))),
        )


class _Pdf:
    """An open file; a context manager."""

    def __init__(self, source: Source) -> None:
        self.source = source
        if b"%PDF-" not in source.data[: media.HEAD]:
            raise UnreadableFile(
                source.path, "it is not a PDF, whatever its name says" if source.data else "it is empty"
            )
        try:
            self.file = pdfium.PdfDocument(source.data)
        except pdfium.PdfiumError as exc:
            raise UnreadableFile(source.path, _why_not_opened(exc)) from exc

    def __enter__(self) -> "_Pdf":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def pages(self) -> Iterator[list[Line] | str]:
        for index in range(len(self.file)):
            lines = self._lines(index)
            text = "\n".join(line.text for line in lines)
            if not _is_garbled(text):
                yield lines
                continue
            other = self._second_text(index)
            yield lines if not other.strip() or _is_garbled(other) else other

    def _lines(self, index: int) -> list[Line]:
        try:
            page = self.file[index]
            return list(_page_lines(page.get_textpage()))
        except pdfium.PdfiumError:
            return []  # a broken page is told of as one without text

    def _second_text(self, index: int) -> str:
        try:
            return encodable(self._second.pages[index].extract_text().translate(_CHARACTERS))
        except Exception:  # noqa: BLE001 pypdf fails in many ways on broken pages, and the first text stands then
            return ""

    @cached_property
    def _second(self) -> "pypdf.PdfReader":
        import pypdf  # seldom needed

        reader = pypdf.PdfReader(io.BytesIO(self.source.data))
        if reader.is_encrypted:
            reader.decrypt("")
        return reader

    def outline(self) -> Iterator[Outline]:
        for bookmark in islice(self.file.get_toc(), _MOST_BOOKMARKS):
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            if page is not None:
                yield Outline(bookmark.get_title(), min(bookmark.level + 1, 6), page + 1)

    def information(self) -> dict[str, str]:
        """What the file says about itself: Title, Author, Subject, Keywords, dates..."""
        found = self.file.get_metadata_dict(skip_empty=True)
        return {name: one_line(encodable(value), 500) for name, value in found.items() if value.strip()}

    def attachments(self) -> tuple[Source, ...]:
        found = (self._attachment(number) for number in range(1, self.file.count_attachments() + 1))
        return tuple(islice(filter(None, found), _MOST_ATTACHMENTS))

    def _attachment(self, number: int) -> Source | None:
        try:
            embedded = self.file.get_attachment(number - 1)
            return attachment(self.source, number, embedded.get_name(), bytes(embedded.get_data()))
        except pdfium.PdfiumError:
            return None  # it has a name and no content


def _why_not_opened(error: pdfium.PdfiumError) -> str:
    if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
        return "it is locked with a password; save a copy without one and add that"
    if error.err_code == pdfium_c.FPDF_ERR_SECURITY:
        return "it is encrypted in a way that is not supported; save a copy without encryption and add that"
    return "it is damaged, cut off or without pages; get the file again"


@dataclass(frozen=True, slots=True)
class _Box:
    left: float = 0.0
    bottom: float = 0.0
    right: float = 0.0
    top: float = 0.0


def _page_lines(page: pdfium.PdfTextPage) -> Iterator[Line]:
    codes = [pdfium_c.FPDFText_GetUnicode(page.raw, index) for index in range(page.count_chars())]
    start = 0
    for at, code in enumerate([*codes, _LINE_FEED]):
        # A hyphen that breaks a word ends its line; PDFium puts no line end behind it.
        end = at + 1 if code in _BREAKING_HYPHENS else at
        if code in (_LINE_FEED, _RETURN) or end > at:
            yield from _line(page, codes[start:end], start)
            start = at + 1


def _line(page: pdfium.PdfTextPage, codes: list[int], offset: int) -> Iterator[Line]:
    """The line of these characters, the first of them being the page's character `offset`; none if it is blank."""
    shown = [index for index, code in enumerate(codes) if not chr(code).isspace()]
    text = _text(codes)
    if not shown or not text:
        return
    first, last = _box(page, offset + shown[0]), _box(page, offset + shown[-1])
    height = max(first.top - first.bottom, last.top - last.bottom)
    left, right = min(first.left, last.left), max(first.right, last.right)
    yield Line(text, left, right, min(first.bottom, last.bottom), height)


def _text(units: list[int]) -> str:
    """PDFium's characters, which may be halves of UTF-16 pairs, as clean text."""
    text = "".join(map(chr, units)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _SPACES.sub(" ", text.translate(_CHARACTERS)).strip()


def _box(page: pdfium.PdfTextPage, index: int) -> _Box:
    try:
        return _Box(*page.get_charbox(index, loose=True))
    except pdfium.PdfiumError:
        return _Box()


def _is_garbled(text: str) -> bool:
    """Whether characters have no meaning (a font without names for them) or the spaces are gone."""
    if not text:
        return False
    senseless = sum(char == "\ufffd" or unicodedata.category(char) in ("Co", "Cn") for char in text)
    latin = sum("a" <= char <= "z" for char in text)
    return senseless > len(text) * _GARBLED or latin > _LONGEST_WORD * (len(text.split()) + 3)


def _largest_heading(layout: Layout) -> str | None:
    first = layout.pages[0].end if layout.pages else 0
    on_first_page = [heading for heading in layout.headings if heading.start < first]
    return min(on_first_page, key=lambda heading: heading.level).text if on_first_page else None


def _pages_without_text(layout: Layout) -> str | None:
    empty = [page.number for page in layout.pages if page.start == page.end]
    if not empty:
        return None
    plural = "s" if len(empty) > 1 else ""
    return f"no text on page{plural} {_ranges(empty)}; text in pictures is not read yet"


def _ranges(numbers: list[int]) -> str:
    """[1, 2, 3, 7] as "1-3, 7"."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]))
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs)
