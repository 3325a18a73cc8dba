"""How well and how fast the text in pictures is read, where it is known what stands in them.

A folder in the layout of SROIE (ICDAR 2019, "scanned receipts OCR"): pictures in `img/`, and for each of them a file of
the same name in `box/` with a line `x1,y1,...,x4,y4,text` for each line of text. Other folders of pictures are timed.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.table import Table

from eval.index import OnProgress
from rag import pictures
from rag.ingest import media
from rag.ingest.ocr import Ocr

_WORD = re.compile(r"\w+")
_COORDINATES = 8  # numbers before the text in a line of truth


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one picture, what stands in it where that is known, and seconds."""

    pixels: int
    text: str
    truth: str | None
    decoding: float
    reading: float
    working: float


def reading(folder: Path, threads: int = 1, show: OnProgress = lambda done, total: None) -> dict[str, Any]:
    """Decode and read every picture in `folder`, or in its `img/`, with `threads` threads.

    Times are milliseconds per picture, models loaded: of the clock, and for reading also of CPU. Recall is the share
    of the words (letters and digits, whatever their case) and of the characters without spaces of the truth that
    were read, counted as multisets picture by picture, so in whatever order. The error rates (CER, WER) are the edits
    that turn what was read into the truth, over the length of the truth: of characters, and of words parted by white
    space; capitals are small letters, any white space is one space, and a line read too early costs twice. None where
    there is no truth.
    """
    files = _picture_files(folder / "img" if (folder / "img").is_dir() else folder)
    found = list(_read_all(files, Ocr(threads), show))
    known = [(one.truth, one.text) for one in found if one.truth is not None]
    return {
        "folder": folder.resolve().name,
        "pictures": len(files),
        "megapixels": sum(one.pixels for one in found) / 1e6,
        "threads": threads,
        "ms": {
            "decode": _per_picture([one.decoding for one in found]),
            "ocr": _per_picture([one.reading for one in found]),
            "ocr_cpu": _per_picture([one.working for one in found]),
        },
        "pictures_per_minute": 60 * len(files) / sum(one.decoding + one.reading for one in found) if files else 0.0,
        "with_truth": len(known),
        "word_recall": _recall([(_words(truth), _words(text)) for truth, text in known]),
        "character_recall": _recall([(_characters(truth), _characters(text)) for truth, text in known]),
        "character_error": _error_rate([(_plain(truth), _plain(text)) for truth, text in known]),
        "word_error": _error_rate([(_plain(truth).split(), _plain(text).split()) for truth, text in known]),
    }


def _read_all(files: Sequence[Path], ocr: Ocr, show: OnProgress) -> Iterator[_Read]:
    for done, path in enumerate(files):
        show(done, len(files))
        data = path.read_bytes()
        started = time.perf_counter()
        image = pictures.decode(data, path=str(path))
        decoding = time.perf_counter() - started
        if done == 0:
            ocr.read(image)  # loads the models
        started, worked = time.perf_counter(), time.process_time()
        text = ocr.read(image).text
        seconds, busy = time.perf_counter() - started, time.process_time() - worked
        yield _Read(image.width * image.height, text, _truth(path), decoding, seconds, busy)
    show(len(files), len(files))


def print_reading(result: dict[str, Any], out: Console) -> None:
    """The figures as a table."""
    table = Table("", "median", "mean", title=f"{result['pictures']} pictures, {result['threads']} thread(s)")
    for stage, times in result["ms"].items():
        table.add_row(f"{stage.replace('_', ', ')}, ms", f"{times['median']:.0f}", f"{times['mean']:.0f}")
    out.print(table)
    out.print(f"{result['pictures_per_minute']:.0f} pictures a minute, {result['megapixels']:.1f} megapixels in all")
    if result["with_truth"]:
        out.print(
            f"of the truth of {result['with_truth']} pictures were read: words {result['word_recall']:.3f}, "
            f"characters {result['character_recall']:.3f}, in whatever order"
        )
        out.print(
            f"edits to the truth, in its order: CER {result['character_error']:.3f} of the characters, "
            f"WER {result['word_error']:.3f} of the words"
        )


def _picture_files(folder: Path) -> list[Path]:
    kinds = set(media.IMAGES)
    return sorted(path for path in folder.iterdir() if media.media_type_of_name(path.name) in kinds)


def _truth(path: Path) -> str | None:
    """The lines of text that stand in the picture at `path`, None where they are not known."""
    file = path.parent.parent / "box" / f"{path.stem}.csv"
    if not file.is_file():
        return None
    rows = (line.split(",", _COORDINATES) for line in file.read_text("utf-8", "replace").splitlines())
    return "\n".join(row[_COORDINATES] for row in rows if len(row) > _COORDINATES)


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _characters(text: str) -> Counter[str]:
    return Counter("".join(text.casefold().split()))


def _plain(text: str) -> str:
    """`text` as its errors are counted: whatever its case, any white space one space."""
    return " ".join(text.casefold().split())


def _error_rate(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> float | None:
    """Edits (Levenshtein 1966) from what was read to the truth over the length of the truth, all pictures together."""
    length = sum(len(truth) for truth, _ in pairs)
    return sum(Levenshtein.distance(truth, read) for truth, read in pairs) / length if length else None


def _recall(pairs: Sequence[tuple[Counter[str], Counter[str]]]) -> float | None:
    """The share of what is in each truth that is in what was read, all pictures together."""
    total = sum(truth.total() for truth, _ in pairs)
    return sum((truth & read).total() for truth, read in pairs) / total if total else None


def _per_picture(seconds: list[float]) -> dict[str, float]:
    return {"median": 1000 * median(seconds), "mean": 1000 * fmean(seconds)} if seconds else {"median": 0, "mean": 0}
