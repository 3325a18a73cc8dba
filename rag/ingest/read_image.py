"""Pictures as documents: photos, screenshots and scans, with the text in them and what the camera wrote down."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.clock import in_time
from rag.ingest.document import make_document, only_unreadable
from rag.ingest.exif import Facts, drawing_facts, facts
from rag.ingest.ocr import Ocr, OcrText
from rag.records import Document, Page, Picture, Source

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile
    from PIL.TiffImagePlugin import TiffImageFile

_MOST_PAGES = 500  # of a TIFF
_SUBFILE_TYPE, _REDUCED = 0x00FE, 1  # TIFF's tag, and its bit for a frame that is another one made smaller
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_NO_TIME = "there was no time left for them; set RAG_READ_SECONDS higher and add it again"


class ImageReader:
    """Picture files; kind "image". The document's text is what was read in the picture.

    The frames of a TIFF are pages, each with a picture of its own: frame n (from 0) is picture n + 1. Its digest is
    that of the file, for later frames with "#" and the number. Of an animation the first frame is taken. Pictures are
    known by their content, whatever their names end with. Without `ocr` nothing is read in them, the rest is the same.
    """

    media_types = frozenset(media.IMAGES)

    def __init__(self, ocr: Ocr | None, location: bool, max_megapixels: int) -> None:
        self._ocr = ocr
        self._location = location
        self._max_megapixels = max_megapixels

    @only_unreadable
    def read(self, source: Source) -> Document:
        header = self._header(source)
        taken = _Taken(source, header.written.caption, header.pages > 1)
        for frame in in_time(range(header.pages)):
            self._take(taken, frame)
        if len(taken.pages) < header.pages:
            taken.warnings.append(f"pages from {len(taken.pages) + 1} on were not read: {_NO_TIME}")
        return taken.document(header)

    def _header(self, source: Source) -> "_Header":
        found = media.sniff(source.data[: pictures.HEAD], source.name)
        if found == media.SVG:
            return _Header(drawing_facts(source.data), drawn=True)
        if found is not None and found not in media.IMAGES:
            raise UnreadableFile(source.path, f"it is no picture, whatever its name says: its content is {found}")
        opened = pictures.open_header(source.data, path=source.path, max_megapixels=self._max_megapixels)
        written = facts(opened, self._location)
        if opened.format == "TIFF":
            return _Header(written, _count_pages(cast("TiffImageFile", opened)))
        return _Header(written, frames=_count_frames(opened) if opened.format in _ANIMATED else 1)

    def _take(self, taken: "_Taken", frame: int) -> None:
        source = taken.source
        try:
            image = pictures.decode(source.data, path=source.path, max_megapixels=self._max_megapixels, frame=frame)
        except UnreadableFile as exc:
            if frame == 0:
                raise
            taken.leave_out(frame, exc.reason)
        else:
            taken.add(frame, image, self._ocr.read(image) if self._ocr else OcrText())


@dataclass(frozen=True, slots=True)
class _Header:
    """What is known before a pixel is read: `pages` are taken in; of `frames`, which move, the first is.

    `drawn`: it is a drawing, whose pixels are ours.
    """

    written: Facts
    pages: int = 1
    frames: int = 1
    drawn: bool = False


class _Taken:
    """What has been read of a file, frame by frame."""

    def __init__(self, source: Source, caption: str, has_pages: bool) -> None:
        self.source = source
        self.caption = caption
        self.has_pages = has_pages
        self.digest = source.sha256
        self.text = ""
        self.pages: list[Page] = []
        self.pictures: list[Picture] = []
        self.warnings: list[str] = []

    def add(self, frame: int, image: "Image", read: OcrText) -> None:
        number = frame + 1
        self.text += "\n\n" if self.text and read.text else ""
        start = len(self.text)
        self.text += read.text
        self.pages.append(Page(number, start, len(self.text)))
        self.pictures.append(
            Picture(
                number,
                f"{self.digest}#{number}" if frame else self.digest,
                image.width,
                image.height,
                start,
                len(self.text),
                start,
                page=number if self.has_pages else None,
                caption=self.caption,
                around=self.source.around,
                lines=read.moved(start),
                preview=pictures.encode(image, pictures.PREVIEW_SIDE),
            )
        )
        if pictures.DAMAGED in image.info:
            self.warnings.append(image.info[pictures.DAMAGED])

    def leave_out(self, frame: int, reason: str) -> None:
        self.pages.append(Page(frame + 1, len(self.text), len(self.text)))
        self.warnings.append(f"page {frame + 1} was left out: {reason}")

    def document(self, header: _Header) -> Document:
        written = header.written
        return make_document(
            self.source,
            "image",
            self.text,
            written.title or written.caption,
            pages=tuple(self.pages) if self.has_pages else (),
            tags=written.tags,
            date=written.date,
            fields=(*written.fields, *self._measures(header)),
            pictures=tuple(self.pictures),
            warnings=tuple(self.warnings),
        )

    def _measures(self, header: _Header) -> Iterator[tuple[str, str]]:
        first = self.pictures[0]
        if not header.drawn:
            yield "Size", f"{first.width} x {first.height}"
        if max(header.pages, header.frames) > 1:
            yield "Frames", str(max(header.pages, header.frames))


def _count_pages(image: "TiffImageFile") -> int:
    """The frames of a TIFF, up to the first that is another one made smaller."""
    for frame in range(1, _MOST_PAGES):
        try:
            image.seek(frame)
        except Exception:  # noqa: BLE001 its end, or damage, which shows in more ways than are documented
            return frame
        if int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & _REDUCED:
            return frame
    return _MOST_PAGES


def _count_frames(image: "ImageFile") -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 damaged frames fail in more ways than are documented, and the first one stands
        return 1
