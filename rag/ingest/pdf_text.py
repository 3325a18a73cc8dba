"""The text layer of a PDF's page: PDFium's characters to lines, and whether they make sense."""

import re
import unicodedata
from collections.abc import Iterator

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from rag.ingest.pdf_file import PdfPage, Rect
from rag.ingest.pdf_layout import HYPHEN, Line

_GARBLED = 0.1  # share of characters without a meaning from which on a text is no use
_LONGEST_WORD = 25  # letters per word on average, from which on the spaces must have been lost
_LINE_FEED, _RETURN, _BREAKING_HYPHENS = 10, 13, (2, 0xFFFE)
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}
_SPACES = re.compile(r"[\s\x00\x01\x03-\x1f\x7f-\x9f]+")  # and control characters, of which HYPHEN is one to keep

CHARACTERS = str.maketrans(
    {**{chr(code): text for code, text in _LIGATURES.items()}, "\ufffe": HYPHEN, "\x00": "\ufffd"}
)
"""Signs of the text layer to those that are meant, for `str.translate`."""


def lines_of(page: PdfPage) -> list[Line]:
    """The lines of a page's text layer in reading order; none where it has no layer, or a broken one."""
    try:
        return list(_lines(page, page.raw.get_textpage()))
    except pdfium.PdfiumError:
        return []


def is_garbled(text: str) -> bool:
    """Whether characters have no meaning (a font without names for them) or the spaces are gone."""
    if not text:
        return False
    senseless = sum(char == "\ufffd" or unicodedata.category(char) in ("Co", "Cn") for char in text)
    latin = sum("a" <= char <= "z" for char in text)
    return senseless > len(text) * _GARBLED or latin > _LONGEST_WORD * (len(text.split()) + 3)


def _lines(page: PdfPage, layer: pdfium.PdfTextPage) -> Iterator[Line]:
    codes = [pdfium_c.FPDFText_GetUnicode(layer.raw, index) for index in range(layer.count_chars())]
    start = 0
    for at, code in enumerate([*codes, _LINE_FEED]):
        # A hyphen that breaks a word ends its line; PDFium puts no line end behind it.
        end = at + 1 if code in _BREAKING_HYPHENS else at
        if code in (_LINE_FEED, _RETURN) or end > at:
            yield from _line(page, layer, codes[start:end], start)
            start = at + 1


def _line(page: PdfPage, layer: pdfium.PdfTextPage, codes: list[int], offset: int) -> Iterator[Line]:
    """The line of these characters, the first of them being the page's character `offset`; none if it is blank."""
    shown = [index for index, code in enumerate(codes) if not chr(code).isspace()]
    text = _text(codes)
    if not shown or not text:
        return
    first, last = (_rect(page, layer, offset + shown[at]) for at in (0, -1))
    whole = first.union(last)
    yield Line(text, whole.left, whole.right, page.rect.bottom - whole.bottom, max(first.height, last.height))


def _text(units: list[int]) -> str:
    """PDFium's characters, which may be halves of UTF-16 pairs, as clean text."""
    text = "".join(map(chr, units)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _SPACES.sub(" ", text.translate(CHARACTERS)).strip()


def _rect(page: PdfPage, layer: pdfium.PdfTextPage, index: int) -> Rect:
    try:
        return page.text_rect(*layer.get_charbox(index, loose=True))
    except pdfium.PdfiumError:
        return Rect(0.0, 0.0, 0.0, 0.0)
