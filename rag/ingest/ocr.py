"""The words in a picture, by RapidOCR, whose models come inside its wheel."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.records import OcrLine

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class OcrText:
    """What was read: lines of `text` in reading order, and where each piece of it stands (spans of `text`)."""

    text: str = ""
    lines: tuple[OcrLine, ...] = ()

    def moved(self, offset: int) -> tuple[OcrLine, ...]:
        """The lines as spans of a document in which `text` begins at `offset`."""
        return tuple(replace(line, start=line.start + offset, end=line.end + offset) for line in self.lines)


class Ocr:
    """Reads text in pictures. One per process; the models are loaded at the first picture."""

    def read(self, image: "Image") -> OcrText:
        """The words in an RGB picture. One without any gives an empty OcrText."""
        raise NotImplementedError
