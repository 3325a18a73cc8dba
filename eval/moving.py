"""How long does a library take to move, and how much memory? To an archive, from it, and to another store.

The library is made up: documents of a hundred chunks, vectors of 384 numbers that lie in clusters. Each step runs in a
process of its own, so that its peak of memory is its own; no embedder is loaded in any.
"""

import hashlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rag.build import open_folder, open_versions
from rag.config import load_settings
from rag.moving.copying import copy_index
from rag.moving.exporting import export_library
from rag.moving.importing import import_library
from rag.records import Chunk, Document, EmbeddedChunk, Vector, chunk_id, document_id
from rag.store.catalogue import Catalogue
from rag.store.manifest import Manifest, index_spaces, write_manifest

_DIM, _PER_DOCUMENT, _WORDS = 384, 100, 60
_MANIFEST = Manifest(
    schema=3, space="text", embedder="made up", fingerprint="0" * 64, dim=_DIM, chunker=1, created="2026-01-01T00:00:00"
)


def moving(chunks: int, folder: Path) -> dict[str, Any]:
    """Seconds and peak MiB of making, exporting, importing and copying a library of so many chunks in `folder`."""
    home, archive, imported, copied = (str(folder / name) for name in ("home", "library.zip", "imported", "copied"))
    steps = {
        "make": ("make", home, str(chunks)),
        "open and count": ("count", home),
        "export": ("export", home, archive),
        "import": ("import", archive, imported),
        "copy": ("copy", imported, copied),
        "copy again": ("copy", imported, copied),
    }
    measured = {name: _in_process(*arguments) for name, arguments in steps.items()}
    return {"chunks": chunks, "archive_mib": Path(archive).stat().st_size / 2**20, "steps": measured}


def print_moving(result: dict[str, Any], out: Console) -> None:
    """The figures as a table."""
    table = Table("step", "seconds", "chunks/s", "peak MiB", box=None, header_style="bold")
    for name, step in result["steps"].items():
        table.add_row(name, f"{step['seconds']:.1f}", f"{result['chunks'] / step['seconds']:.0f}", f"{step['mib']:.0f}")
    out.print(table)
    out.print(f"{result['chunks']} chunks, an archive of {result['archive_mib']:.0f} MiB")


def _in_process(*arguments: str) -> dict[str, float]:
    """A step in a fresh process, which has loaded nothing that the benchmarks load: its seconds and peak of memory."""
    command = [sys.executable, "-m", "eval.moving", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def _measure(step: str, *arguments: str) -> dict[str, float]:
    import lancedb  # noqa: F401  its import is not part of the figures

    started = time.perf_counter()
    _STEPS[step](*arguments)
    return {"seconds": time.perf_counter() - started, "mib": _peak_mib()}


def _peak_mib() -> float:
    """The most memory that this process has held. Linux would count what its parent held as well, asked otherwise."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**10  # type: ignore[index]
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts in bytes


def _make(home: Path, chunks: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, _DIM))
    home.mkdir()
    catalogue, store = Catalogue(home / "catalogue.sqlite"), open_folder(home / "index", _MANIFEST)
    write_manifest(home / "index" / "manifest.json", _MANIFEST)
    numbers = range(chunks // _PER_DOCUMENT)
    for start in range(0, len(numbers), 20):
        made = [_document(rng, centres, number) for number in numbers[start : start + 20]]
        catalogue.begin([(document, _PER_DOCUMENT) for document, _ in made])
        store.replace_documents({document.id: embedded for document, embedded in made})
        catalogue.finish()
    store.maintain()
    catalogue.close()


def _document(rng: np.random.Generator, centres: np.ndarray, number: int) -> tuple[Document, list[EmbeddedChunk]]:
    path = f"/home/me/notes/{number}.md"
    terms = [" ".join(f"w{term}" for term in rng.zipf(1.2, _WORDS) % 50_000) for _ in range(_PER_DOCUMENT)]
    text = "\n\n".join(terms)
    version, name = hashlib.sha256(text.encode()).hexdigest(), document_id(path)
    document = Document(
        name, path, version, "note", "text/markdown", f"Note {number}", text, date=datetime(2026, 1, 1, tzinfo=UTC)
    )
    values = centres[rng.integers(len(centres), size=len(terms))] + rng.standard_normal((len(terms), _DIM))
    rows = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    embedded, start = [], 0
    for ordinal, (words, row) in enumerate(zip(terms, rows, strict=True)):
        end = start + len(words)
        chunk = Chunk(
            chunk_id(name, version, start, end), name, version, ordinal, "text", words, start, end, None,
            document.title, (), path, "note", (), document.date, "en",
        )  # fmt: skip
        embedded.append(EmbeddedChunk(chunk, words, (Vector("text", row),)))
        start = end + 2
    return document, embedded


def _count(home: Path) -> None:
    """What a process takes that does nothing but open the index."""
    open_folder(home / "index", _MANIFEST).count()


def _export(home: Path, archive: Path) -> None:
    export_library(home, partial(open_versions, load_settings(home=home)), archive)


def _import(archive: Path, home: Path) -> None:
    report = import_library(archive, home, open_folder)
    if report.problems:
        raise AssertionError(report.problems)


def _copy(home: Path, folder: Path) -> None:
    source, target = open_folder(home / "index", _MANIFEST), open_folder(folder, _MANIFEST)
    copy_index(source, target, list(index_spaces(_MANIFEST)))


_STEPS: dict[str, Callable[..., None]] = {
    "make": lambda home, chunks: _make(Path(home), int(chunks)),
    "count": lambda home: _count(Path(home)),
    "export": lambda home, archive: _export(Path(home), Path(archive)),
    "import": lambda archive, home: _import(Path(archive), Path(home)),
    "copy": lambda home, folder: _copy(Path(home), Path(folder)),
}

if __name__ == "__main__":
    print(json.dumps(_measure(*sys.argv[1:])))  # noqa: T201
