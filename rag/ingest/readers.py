"""Which reader takes which kind of file. A new format is one more reader in this list."""

from collections.abc import Mapping
from functools import cache

from rag.errors import UnreadableFile
from rag.ingest.ocr import Ocr
from rag.ingest.options import STRUCTURE, ReadOptions
from rag.ingest.read_image import ImageReader
from rag.ingest.read_mail import MailReader
from rag.ingest.read_note import NoteReader, TextReader
from rag.ingest.read_pdf import PdfReader
from rag.ingest.read_web import WebReader
from rag.protocols import Reader
from rag.records import Document, Source


@cache
def _shared_ocr() -> Ocr:
    return Ocr()


def build_ocr(options: ReadOptions) -> Ocr | None:
    """What reads the text in pixels: the same in all of a process, with its models loaded at the first picture."""
    return _shared_ocr() if options.ocr else None


@cache
def build_readers(options: ReadOptions) -> tuple[Reader, ...]:
    """Every reader, made to `options`."""
    ocr = build_ocr(options)
    return (
        NoteReader(),
        TextReader(),
        WebReader(),
        PdfReader(ocr, options.max_megapixels, options.figures),
        MailReader(),
        ImageReader(ocr, options.location, options.max_megapixels),
    )


@cache
def _by_media_type(options: ReadOptions) -> Mapping[str, Reader]:
    return {media_type: reader for reader in build_readers(options) for media_type in reader.media_types}


def can_read(source: Source) -> bool:
    """Whether a reader takes this kind of file."""
    return source.media_type in _by_media_type(STRUCTURE)


def read(source: Source, options: ReadOptions = STRUCTURE) -> Document:
    """The document in `source`.

    Raises:
        UnreadableFile: no reader takes its kind, or the reader could not read it.
    """
    reader = _by_media_type(options).get(source.media_type)
    if reader is None:
        raise UnreadableFile(source.path, f"no reader takes files of type {source.media_type}")
    return reader.read(source)
