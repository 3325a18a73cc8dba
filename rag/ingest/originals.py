"""The bytes and pixels that a document was made from, found again: a file, an attachment, a figure, a page."""

import io
from typing import TYPE_CHECKING

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest.attachments import read_original
from rag.ingest.files import load
from rag.records import Box, Document, Picture, Source

if TYPE_CHECKING:
    from PIL.Image import Image

# PDFium is imported where it is used: it takes a tenth of a second, and most pictures are files.

_CHANGED = "it has changed since it was added; add it again"


def open_picture(document: Document, number: int, source: Source | None = None) -> bytes:
    """Picture `number` of `document`, encoded: the file's own bytes, or a PNG of a figure or of a later frame.

    `source` is the document's original where the caller has it already.

    Raises:
        UnreadableFile: the original is gone or has changed, or there is no such picture.
    """
    picture = next((each for each in document.pictures if each.number == number), None)
    if picture is None:
        raise UnreadableFile(document.path, f"it has no picture {number}")
    if picture.path:
        return _shown_file(picture)
    original = _original(document, source)
    if picture.box is not None and picture.page is not None:
        return _as_png(_draw_figure(original, picture.page, picture.box))
    if number == 1:
        return original.data
    return _as_png(pictures.decode(original.data, path=original.path, frame=number - 1))


def draw_page(document: Document, page: int, longest: int) -> "Image":
    """Page `page` (from 1) of a PDF drawn as RGB, its longest side `longest` pixels.

    Raises:
        UnreadableFile: the original is gone or has changed, or there is no such page.
    """
    from rag.ingest.pdf_file import open_pdf

    with open_pdf(_original(document, None)) as file:
        with file.page(page) as opened:
            longest_side = max(opened.rect.width, opened.rect.height)
        return file.draw(page, longest / longest_side, pictures.MAX_MEGAPIXELS)


def _original(document: Document, source: Source | None) -> Source:
    original = source or read_original(document.path, document.media_type, document.parent)
    if original.sha256 != document.sha256:
        raise UnreadableFile(document.path, _CHANGED)
    return original


def _shown_file(picture: Picture) -> bytes:
    data = load(picture.path, "").data
    if pictures.digest(data) != picture.digest:
        raise UnreadableFile(picture.path, _CHANGED)
    return data


def _draw_figure(original: Source, page: int, box: Box) -> "Image":
    from rag.ingest.pdf_file import open_pdf
    from rag.ingest.pdf_pictures import draw_figure

    with open_pdf(original) as file:
        return draw_figure(file, page, box, pictures.MAX_MEGAPIXELS)


def _as_png(image: "Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
