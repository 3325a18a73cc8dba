"""How well and how fast the text in pictures is read, where it is known what stands in them.

A folder in the layout of SROIE (ICDAR 2019, "scanned receipts OCR"): pictures in `img/`, and for each of them a file of
the same name in `box/` with a line `x1,y1,...,x4,y4,text` for each line of text. Other folders of pictures are timed.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.table import Table

from rag import pictures
from rag.ingest import media
from rag.ingest.ocr import Ocr

_WORD = re.compile(r"\w+")
_COORDINATES = 8  # numbers before the text in a line of truth


def reading(folder: Path, threads: int = 1) -> dict[str, Any]:
    """Decode and read every picture in `folder`, or in its `img/`, with `threads` threads.

    Times are milliseconds per picture, models loaded: of the clock, and for reading also of CPU. Recall is the share
    of the words (letters and digits, whatever their case) and of the characters without spaces of the truth that
    were read, counted as multisets picture by picture. The error rates (CER, WER) are the edits that turn what was
    read into the truth, in its order, over the length of the truth: a line read too early costs twice. None where
    there is no truth.
    """
    files = _picture_files(folder / "img" if (folder / "img").is_dir() else folder)
    ocr = Ocr(threads)
    decoding, seconds, busy, pixels, truths, texts = [], [], [], 0, [], []
    for number, path in enumerate(files):
        data = path.read_bytes()
        started = time.perf_counter()
        image = pictures.decode(data, path=str(path))
        decoding.append(time.perf_counter() - started)
        if number == 0:
            ocr.read(image)  # loads the models
        started, worked = time.perf_counter(), time.process_time()
        text = ocr.read(image).text
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - worked)
        pixels += image.width * image.height
        truth = _truth(path)
        if truth is not None:
            truths.append(truth)
            texts.append(text)
    return {
        "folder": folder.name,
        "pictures": len(files),
        "megapixels": pixels / 1e6,
        "threads": threads,
        "ms": {
            "decode": _per_picture(decoding),
            "ocr": _per_picture(seconds),
            "ocr_cpu": _per_picture(busy),
        },
        "pictures_per_minute": 60 * len(files) / (sum(decoding) + sum(seconds)) if files else 0.0,
        "with_truth": len(truths),
        "word_recall": _recall(map(_words, truths), map(_words, texts)),
        "character_recall": _recall(map(_characters, truths), map(_characters, texts)),
        "character_error": _error_rate(["".join(_plain(text)) for text in truths], ["".join(_plain(t)) for t in texts]),
        "word_error": _error_rate([_plain(text) for text in truths], [_plain(text) for text in texts]),
    }


def print_reading(result: dict[str, Any], out: Console) -> None:
    """The figures as a table."""
    table = Table("", "median", "mean", title=f"{result['pictures']} pictures, {result['threads']} thread(s)")
    for stage, times in result["ms"].items():
        table.add_row(f"{stage.replace('_', ', ')}, ms", f"{times['median']:.0f}", f"{times['mean']:.0f}")
    out.print(table)
    out.print(f"{result['pictures_per_minute']:.0f} pictures a minute, {result['megapixels']:.1f} megapixels in all")
    if result["with_truth"]:
        found = f"words {result['word_recall']:.3f}, characters {result['character_recall']:.3f}"
        found += f"; error rates CER {result['character_error']:.3f}, WER {result['word_error']:.3f}"
        out.print(f"read of the truth of {result['with_truth']} pictures: {found}")


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


def _plain(text: str) -> list[str]:
    """The words of `text`, whatever their case."""
    return _WORD.findall(text.casefold())


def _error_rate(truths: Sequence[Sequence[str]], texts: Sequence[Sequence[str]]) -> float | None:
    """Edits (Levenshtein 1966) over the length of the truth, all pictures together."""
    length = sum(map(len, truths))
    edits = sum(Levenshtein.distance(truth, text) for truth, text in zip(truths, texts, strict=True))
    return edits / length if length else None


def _recall(truths: Iterable[Counter[str]], found: Iterable[Counter[str]]) -> float | None:
    """The share of what is in `truths` that is in `found`, picture by picture."""
    pairs = list(zip(truths, found, strict=True))
    total = sum(truth.total() for truth, _ in pairs)
    return sum((truth & read).total() for truth, read in pairs) / total if total else None


def _per_picture(seconds: list[float]) -> dict[str, float]:
    return {"median": 1000 * median(seconds), "mean": 1000 * fmean(seconds)} if seconds else {"median": 0, "mean": 0}
