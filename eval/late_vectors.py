"""`python -m eval.late_vectors [CHUNKS] [SHARE]`: what it costs LanceDB to give pictures their vectors later.

An index of CHUNKS chunks (100,000) is made in a temporary folder, SHARE of them (.1) pictures without a vector, and
timed are the calls of looking at pictures and of judging them. Text vectors have 384 numbers, image vectors 512.
"""

import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from rag.filters import In
from rag.records import Chunk, EmbeddedChunk, Vector
from rag.store.lance_store import LanceStore

out = Console(highlight=False)

_SPACES, _MADE_BY = {"text": 384, "image": 512}, {"image": "a model"}
_PICTURES = In("modality", ("image",))
_WRITTEN = 10_000  # chunks in one commit
_PER_DOCUMENT = 5


def main(chunks: int = 100_000, share: float = 0.1) -> None:
    """Fill an index and print the times, in milliseconds: of the first call, and of the quickest after it."""
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        store = LanceStore(Path(folder) / "index", _SPACES, _MADE_BY)
        pictures = _fill(store, chunks, share, rng)
        out.print(f"{chunks} chunks, {len(pictures)} of them pictures")
        _time("count without a vector, all missing", lambda: store.count(_PICTURES, without="image"))
        _time("1,024 without a vector, all missing", lambda: store.without_vector("image", 1024, _PICTURES))
        for number in (32, 512, 4096):
            given = dict(zip(pictures[:number], _units(rng, number, 512), strict=False))
            _time(f"add {number} vectors", lambda given=given: store.add_vectors("image", given), 3)  # type: ignore[misc]
        _time("add all vectors, 4,096 at a time", lambda: _add_all(store, pictures, rng), 1)
        _time("maintain", store.maintain, 1)
        _time("count without a vector, none missing", lambda: store.count(_PICTURES, without="image"))
        _time("1,024 without a vector, none missing", lambda: store.without_vector("image", 1024, _PICTURES))
        _time("sample of 1,000", lambda: store.sample("image", 1000))


def _fill(store: LanceStore, chunks: int, share: float, rng: np.random.Generator) -> list[str]:
    """The ids of the pictures."""
    pictures = []
    for start in range(0, chunks, _WRITTEN):
        documents: dict[str, list[EmbeddedChunk]] = {}
        for number, row in enumerate(_units(rng, min(_WRITTEN, chunks - start), 384), start):
            chunk = _chunk(number, rng.random() < share, str(uuid.UUID(bytes=rng.bytes(16))))
            words = " ".join(f"w{int(term)}" for term in rng.zipf(1.3, 40) % 5000)
            documents.setdefault(chunk.document_id, []).append(EmbeddedChunk(chunk, words, (Vector("text", row),)))
            pictures += [chunk.id] if chunk.modality == "image" else []
        store.replace_documents(documents)
    store.maintain()
    return pictures


def _chunk(number: int, is_picture: bool, name: str) -> Chunk:
    document = f"{number // _PER_DOCUMENT:032x}"
    return Chunk(
        id=name,
        document_id=document,
        version="1",
        ordinal=number % _PER_DOCUMENT,
        modality="image" if is_picture else "text",
        text="some text " * 20,
        start=0,
        end=200,
        page=None,
        title="a title",
        headings=(),
        path=f"/home/me/{document}.md",
        kind="note",
        picture=1 if is_picture else None,
        digest=f"{number:064x}" if is_picture else "",
    )


def _add_all(store: LanceStore, pictures: list[str], rng: np.random.Generator) -> None:
    for start in range(0, len(pictures), 4096):
        part = pictures[start : start + 4096]
        store.add_vectors("image", dict(zip(part, _units(rng, len(part), 512), strict=True)))


def _units(rng: np.random.Generator, count: int, dim: int) -> NDArray[np.float32]:
    values = rng.standard_normal((count, dim)).astype(np.float32)
    unit: NDArray[np.float32] = values / np.linalg.norm(values, axis=1, keepdims=True)
    return unit


def _time(what: str, call: Callable[[], object], times: int = 5) -> None:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    after = f" / {min(taken[1:]):.1f}" if times > 1 else ""
    out.print(f"{what}: {taken[0]:.1f}{after} ms")


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, float), sys.argv[1:], strict=False)))
