"""What a person may choose about reading files. Imported by everything, so it imports nothing slow."""

import math
from dataclasses import dataclass

from rag.pictures import MAX_MEGAPIXELS


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """`ocr`: read the text in pictures; `location`: keep where photos were taken; `figures`: look for them in PDFs."""

    ocr: bool = True
    location: bool = True
    max_megapixels: int = MAX_MEGAPIXELS
    figures: bool = True


STRUCTURE = ReadOptions(ocr=False, figures=False)
"""For finding something inside a file again: reading pixels would take long and change nothing."""


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """How files are read and cut.

    `tokenizer_file` is a `tokenizer.json`; None: words and signs count as tokens. `max_tokens` are those of a chunk.
    After `pixel_seconds` no further picture or page of a file is read: the rest of it is kept, with a warning.
    """

    tokenizer_file: str | None
    max_tokens: int
    max_file_mb: int
    read: ReadOptions = ReadOptions()
    pixel_seconds: float = math.inf
