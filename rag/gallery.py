"""What the screen shows of pictures, as WebP: previews, full views, pages, and the pictures that were asked with."""

import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from rag.errors import DocumentNotFound, UnreadableFile
from rag.ingest.originals import draw_page, open_picture
from rag.pictures import VIEW_SIDE, decode, digest, encode
from rag.records import Chunk, Document, OcrLine, Page, Picture
from rag.thumbnails import Thumbnails

if TYPE_CHECKING:
    from PIL.Image import Image

ASKED = "the picture that was asked with"
_ASKED_AGE = 24 * 3600.0  # seconds for which a picture is kept before the conversation that shows it must be


class Gallery:
    """Every picture is made once and then comes from `home`. Making takes turns: a decoded photo takes 360 MB.

    `home/thumbnails` can be made again from the documents; `home/asked` holds what is nowhere else.
    """

    def __init__(self, home: Path, find: Callable[[str], Document], max_megapixels: int) -> None:
        """`find` gives a document by its id, or raises DocumentNotFound; so does what takes an id here."""
        self._find = find
        self.thumbnails = Thumbnails(home / "thumbnails")
        self._asked = Thumbnails(home / "asked")
        self._max_megapixels = max_megapixels
        self._making = Lock()

    def picture(self, name: str, number: int, size: int) -> bytes:
        """Picture `number` of the document of that id, reduced to `size` pixels on its longest side.

        Raises:
            UnreadableFile: there is no such picture, or it was never kept and its file is gone, changed or damaged.
        """
        document = self._find(name)
        shown = next((picture for picture in document.pictures if picture.number == number), None)
        if shown is None:
            raise UnreadableFile(document.path, f"it has no picture {number}")

        def make() -> "Image":
            return decode(open_picture(document, number), path=document.path, max_megapixels=self._max_megapixels)

        return self._kept(shown.digest, size, make)

    def page(self, name: str, number: int) -> bytes:
        """Page `number` (from 1) of a PDF as a picture.

        Raises:
            UnreadableFile: there is no such page, or the file is gone or has changed.
        """
        document = self._find(name)
        key = hashlib.sha256(f"{document.sha256}:page:{number}".encode()).hexdigest()
        return self._kept(key, VIEW_SIDE, lambda: draw_page(document, number, VIEW_SIDE))

    def picture_of(self, chunk: Chunk) -> bytes | None:
        """The picture that a chunk is of, None where it cannot be had any more: its words must do."""
        if chunk.picture is None:
            return None
        try:
            return self.picture(chunk.document_id, chunk.picture, VIEW_SIDE)
        except (DocumentNotFound, UnreadableFile):
            return None

    def lines_of(self, chunk: Chunk) -> tuple[OcrLine, ...]:
        """The lines that were read in the picture, or on the page, that a chunk is of."""
        try:
            document = self._find(chunk.document_id)
        except DocumentNotFound:
            return ()
        places: Iterable[Picture | Page] = document.pages if chunk.picture is None else document.pictures
        number = chunk.page if chunk.picture is None else chunk.picture
        return next((place.lines for place in places if place.number == number), ())

    def keep(self, data: bytes) -> str:
        """Keep a picture that a question was asked with, as large as it is viewed; its digest.

        Raises:
            UnreadableFile: it cannot be decoded.
        """
        name = digest(data)
        shown = self._asked.get(name, VIEW_SIDE)
        if shown is None:
            with self._making:
                shown = encode(decode(data, path=ASKED, max_megapixels=self._max_megapixels), VIEW_SIDE)
        self._asked.put(name, VIEW_SIDE, shown)
        return name

    def kept(self, name: str) -> bytes:
        """A picture that was kept, by its digest; UnreadableFile where it is not there any more."""
        data = self._asked.get(name, VIEW_SIDE)
        if data is None:
            raise UnreadableFile(ASKED, "it is not kept any more")
        return data

    def forget_asked(self, wanted: set[str]) -> None:
        """Drop the pictures of conversations that were deleted: all but those wanted and those of the last day."""
        self._asked.remove(self._asked.digests(time.time() - _ASKED_AGE) - wanted)

    def _kept(self, name: str, size: int, make: "Callable[[], Image]") -> bytes:
        data = self.thumbnails.get(name, size)
        if data is not None:
            return data
        with self._making:
            data = self.thumbnails.get(name, size)  # another thread may have made it meanwhile
            if data is None:
                data = encode(make(), size)
                self.thumbnails.put(name, size, data)
        return data
