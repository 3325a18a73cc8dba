"""How long pictures take: decoding, reading the text in them, looking at them, and the whole program around it.

The ratio tells what the program adds to its models: the time of `Library.add` over that of OCR and CLIP alone, both
with as many processes and threads as the program gives them. Starting the processes counts for the program.
"""

import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from eval.datasets import DatasetError
from rag.build import build_image_embedder, open_library
from rag.config import Settings
from rag.errors import UnreadableFile
from rag.ingest.ocr import Ocr
from rag.looking import EMBED_PICTURES
from rag.pictures import decode
from rag.protocols import ImageEmbedder

TARGET = 1.15  # the program's time over that of its models, at most

_SHRUNK = 512  # pixels of the longest side: what decoding then costs is nothing beside looking
_reader: Ocr  # of a process of the pool


def throughput(folder: Path, settings: Settings, copies: int = 1) -> dict[str, Any]:
    """Seconds of wall time per picture for each stage and for the whole, over `copies` of each picture that differ.

    `ratio` has the program's time over that of its models twice: in wall time, and in processor time, which other
    work on the machine disturbs less. Without OCR and an image embedder there is none.

    Raises:
        DatasetError: `folder` holds no picture.
    """
    with TemporaryDirectory(prefix="commonplace-pictures-") as temporary:
        pictures = Path(temporary) / "pictures"
        pictures.mkdir()
        files = _copied(folder, pictures, copies)
        count = len(files)
        decoding, _ = _timed(lambda: [_opened(path) for path in files])
        reading, reading_cpu = _read_alone(files, settings.workers) if settings.ocr else (0.0, 0.0)
        seeing = build_image_embedder(settings)
        looking, looking_cpu = _look_alone(files, seeing) if seeing else (0.0, 0.0)
        own = {"home": Path(temporary) / "home", "generator": "none"}
        whole, whole_cpu = _added(pictures, settings.model_copy(update=own))
    models, models_cpu = reading + looking, reading_cpu + looking_cpu
    ratio = {"wall": whole / models, "processor": whole_cpu / models_cpu} if models else {}
    return {
        "pictures": count,
        "image_embedder": seeing.state.name if seeing else None,
        "device": seeing.state.device if seeing else None,
        "precision": seeing.state.precision if seeing else None,
        "seconds_per_picture": {
            "decode": decoding / count,
            "ocr": reading / count,
            "clip": looking / count,
            "add": whole / count,
        },
        "ratio": ratio,
        "target": TARGET,
    }


def print_throughput(result: dict[str, Any], console: Console) -> None:
    """The stages as a table, the ratio below it."""
    seen = f", {result['image_embedder']} on {result['device']}, {result['precision']}" if result["device"] else ""
    table = Table("", "ms/picture", title=f"{result['pictures']} pictures{seen}")
    for stage, seconds in result["seconds_per_picture"].items():
        table.add_row(stage, f"{seconds * 1000:.1f}")
    console.print(table)
    for kind, ratio in result["ratio"].items():
        console.print(f"the program's {kind} time over that of its models: {ratio:.2f} (target {TARGET})")


def _copied(folder: Path, to: Path, copies: int) -> list[Path]:
    """PNG files of every picture under `folder`, each with another first pixel."""
    files: list[Path] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            image = _opened(path)
        except UnreadableFile:
            continue
        for number in range(copies):
            image.putpixel((0, 0), (number % 256, number // 256 % 256, 0))
            files.append(to / f"{len(files):05}.png")
            image.save(files[-1], compress_level=1)
    if not files:
        raise DatasetError(f"{str(folder)!r} holds no picture")
    return files


def _opened(path: Path) -> Image.Image:
    return decode(path.read_bytes(), path=str(path))


def _read_alone(files: Sequence[Path], workers: int) -> tuple[float, float]:
    """Seconds of OCR with one process per core, as the program reads; loading the models is left out."""
    processes = workers or min(os.cpu_count() or 1, 8)
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_load_reader) as pool:
        seconds = list(pool.map(_read, files, chunksize=1))
    return sum(wall for wall, _ in seconds) / processes, sum(cpu for _, cpu in seconds)


def _load_reader() -> None:
    global _reader
    _reader = Ocr()
    _reader.read(Image.new("RGB", (64, 64)))


def _read(path: Path) -> tuple[float, float]:
    image = _opened(path)
    wall, cpu = time.perf_counter(), time.process_time()
    _reader.read(image)
    return time.perf_counter() - wall, time.process_time() - cpu


def _look_alone(files: Sequence[Path], seeing: ImageEmbedder) -> tuple[float, float]:
    """Seconds of CLIP on pictures that were shrunk beforehand."""
    shrunk = []
    for path in files:
        image, buffer = _opened(path), io.BytesIO()
        image.thumbnail((_SHRUNK, _SHRUNK))
        image.save(buffer, "BMP")
        shrunk.append(buffer.getvalue())
    seeing.embed_images(shrunk[:1])  # loads it
    parts = [shrunk[start : start + EMBED_PICTURES] for start in range(0, len(shrunk), EMBED_PICTURES)]
    return _timed(lambda: [seeing.embed_images(part) for part in parts])


def _added(pictures: Path, settings: Settings) -> tuple[float, float]:
    library = open_library(settings)
    try:
        library.warm()
        return _timed(lambda: library.add([pictures]))
    finally:
        library.close()


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time, and of processor time with that of processes that were begun and ended in it."""
    wall, cpu = time.perf_counter(), _processor()
    work()
    return time.perf_counter() - wall, _processor() - cpu


def _processor() -> float:
    return sum(os.times()[:4])  # user and system, of this process and of its ended children
