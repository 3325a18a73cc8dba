"""Pictures as documents: photos, screenshots and scans, with the text in them and what the camera wrote down."""

from rag import pictures
from rag.ingest import media
from rag.ingest.document import make_document, only_unreadable
from rag.ingest.ocr import Ocr, OcrText
from rag.records import Document, Picture, Source


class ImageReader:
    """Picture files; kind "image". The document's text is what was read in the picture, frame by frame."""

    media_types = frozenset(media.IMAGES)

    def __init__(self, ocr: Ocr | None, location: bool, max_megapixels: int) -> None:
        self._ocr = ocr
        self._location = location
        self._max_megapixels = max_megapixels

    @only_unreadable
    def read(self, source: Source) -> Document:
        image = pictures.decode(source.data, path=source.path, max_megapixels=self._max_megapixels)
        found = self._ocr.read(image) if self._ocr else OcrText()
        picture = Picture(
            1,
            pictures.digest(source.data),
            image.width,
            image.height,
            0,
            len(found.text),
            0,
            around=source.around,
            lines=found.lines,
            preview=pictures.encode(image, pictures.PREVIEW_SIDE),
        )
        return make_document(source, "image", found.text, pictures=(picture,))
