"""Pictures as documents: photos, screenshots and scans, with the text in them and what the camera wrote down."""

from rag.ingest import media
from rag.ingest.document import only_unreadable
from rag.ingest.ocr import Ocr
from rag.records import Document, Source


class ImageReader:
    """Picture files; kind "image". The document's text is what was read in the picture, frame by frame."""

    media_types = frozenset(media.IMAGES)

    def __init__(self, ocr: Ocr | None, location: bool, max_megapixels: int) -> None:
        self._ocr = ocr
        self._location = location
        self._max_megapixels = max_megapixels

    @only_unreadable
    def read(self, source: Source) -> Document:
        raise NotImplementedError
