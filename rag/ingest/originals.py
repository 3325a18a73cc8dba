"""The bytes and pixels that a document was made from, found again: a file, an attachment, a figure, a page."""

from typing import TYPE_CHECKING

from rag.records import Document, Source

if TYPE_CHECKING:
    from PIL.Image import Image


def open_picture(document: Document, number: int, source: Source | None = None) -> bytes:
    """Picture `number` of `document`, encoded: the file's own bytes, or a PNG of a figure or of a later frame.

    `source` is the document's original where the caller has it already.

    Raises:
        UnreadableFile: the original is gone or has changed, or there is no such picture.
    """
    raise NotImplementedError


def draw_page(document: Document, page: int, longest: int) -> "Image":
    """Page `page` (from 1) of a PDF drawn as RGB, its longest side `longest` pixels.

    Raises:
        UnreadableFile: the original is gone or has changed, or there is no such page.
    """
    raise NotImplementedError
