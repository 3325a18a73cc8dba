"""The words in a picture, by RapidOCR, whose models come inside its wheel."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.records import Box, OcrLine

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

    def __init__(self) -> None:
        self._engine: Any = None

    def read(self, image: "Image") -> OcrText:
        """The words in an RGB picture. One without any gives an empty OcrText."""
        if self._engine is None:
            from rapidocr import RapidOCR

            self._engine = RapidOCR(params={"Global.log_level": "critical"})
        found = self._engine(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))
        if found.boxes is None:
            return OcrText()
        text, lines = "", []
        size = np.array(image.size)
        for quad, words, score in zip(found.boxes, found.txts, found.scores, strict=True):
            (left, top), (right, bottom) = (quad / size).min(axis=0), (quad / size).max(axis=0)
            lines.append(
                OcrLine(
                    len(text), len(text) + len(words), Box(float(left), float(top), float(right), float(bottom)), score
                )
            )
            text += words + "\n"
        return OcrText(text[:-1], tuple(lines))
