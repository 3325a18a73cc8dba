"""Which reader takes which kind of file. A new format is one more reader in this list."""

from rag.errors import UnreadableFile
from rag.ingest.read_mail import MailReader
from rag.ingest.read_note import NoteReader, TextReader
from rag.ingest.read_pdf import PdfReader
from rag.ingest.read_web import WebReader
from rag.protocols import Reader
from rag.records import Document, Source

READERS: tuple[Reader, ...] = (NoteReader(), TextReader(), WebReader(), PdfReader(), MailReader())

_BY_MEDIA_TYPE = {media_type: reader for reader in READERS for media_type in reader.media_types}


def can_read(source: Source) -> bool:
    """Whether a reader takes this kind of file."""
    return source.media_type in _BY_MEDIA_TYPE


def read(source: Source) -> Document:
    """The document in `source`.

    Raises:
        UnreadableFile: no reader takes its kind, or the reader could not read it.
    """
    reader = _BY_MEDIA_TYPE.get(source.media_type)
    if reader is None:
        raise UnreadableFile(source.path, f"no reader takes files of type {source.media_type}")
    return reader.read(source)
