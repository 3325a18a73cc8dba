"""Made-up documents, chunks and vectors for the tests of stores. Everything random comes from a seeded generator."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from rag.records import Chunk, Document, EmbeddedChunk, Kind, Vector, chunk_id, document_id

SPACES = {"text": 16, "image": 8}
KINDS: tuple[Kind, ...] = ("note", "text", "web", "pdf", "mail")
FOLDERS = ("/home/me/notes", "/home/me/notes2", "/home/me/50%_off", "/home/me/50x_off", "/home/me/it's/😀 new\nline")


def unit(rng: np.random.Generator, dim: int) -> NDArray[np.float32]:
    """float32[dim] of length 1, in a random direction."""
    values = rng.standard_normal(dim)
    return (values / np.linalg.norm(values)).astype(np.float32)


def axis(dim: int, *weights: float) -> NDArray[np.float32]:
    """float32[dim] of length 1 along `weights`, the rest zero."""
    values = np.zeros(dim)
    values[: len(weights)] = weights
    return (values / np.linalg.norm(values)).astype(np.float32)


def embedded(
    document: str = "doc",
    ordinal: int = 0,
    *,
    words: str = "",
    vector: NDArray[np.float32] | None = None,
    image: NDArray[np.float32] | None = None,
    version: str = "v1",
    **fields: object,
) -> EmbeddedChunk:
    """One chunk with plain values; `fields` are those of Chunk that matter to a test."""
    values: dict[str, object] = {
        "id": chunk_id(document, version, ordinal, ordinal + 1),
        "document_id": document,
        "version": version,
        "ordinal": ordinal,
        "modality": "text",
        "text": f"text {ordinal} of {document}",
        "start": ordinal,
        "end": ordinal + 1,
        "page": None,
        "title": document,
        "headings": (),
        "path": f"/home/me/{document}.md",
        "kind": "note",
    }
    pairs = (("text", vector), ("image", image))
    vectors = tuple(Vector(space, row) for space, row in pairs if row is not None)
    return EmbeddedChunk(Chunk(**{**values, **fields}), words, vectors)  # type: ignore[arg-type]


def random_documents(
    rng: np.random.Generator, numbers: Sequence[int], version: str = "v1"
) -> dict[str, list[EmbeddedChunk]]:
    """Documents "d<number>" of 1 to 9 chunks, various in everything that a filter or a search looks at."""
    return {f"d{number}": list(_random_chunks(rng, f"d{number}", version)) for number in numbers}


def _random_chunks(rng: np.random.Generator, document: str, version: str) -> Iterator[EmbeddedChunk]:
    folder = FOLDERS[rng.integers(len(FOLDERS))]
    date = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=int(rng.integers(365)), microseconds=1)
    facts = {
        "path": f"{folder}/{document}.md",
        "kind": KINDS[rng.integers(len(KINDS))],
        "tags": tuple(tag for tag in ("work", "it's", "naïve 😀") if rng.random() < 0.4),
        "date": date if rng.random() < 0.7 else None,
        "language": ("en", "de", "und")[rng.integers(3)],
    }
    for ordinal in range(int(rng.integers(1, 10))):
        yield embedded(
            document,
            ordinal,
            version=version,
            words=" ".join(f"w{int(term)}" for term in rng.zipf(1.3, int(rng.integers(0, 60))) % 500),
            vector=unit(rng, SPACES["text"]) if rng.random() < 0.9 else None,
            image=unit(rng, SPACES["image"]) if rng.random() < 0.3 else None,
            modality="image" if rng.random() < 0.2 else "text",
            page=int(rng.integers(1, 9)) if rng.random() < 0.5 else None,
            headings=("One", "Two")[: int(rng.integers(3))],
            **facts,
        )


def written(path: str, text: str, rng: np.random.Generator, length: int = 40) -> tuple[Document, list[EmbeddedChunk]]:
    """A document and its chunks of `length` characters each, as reading and embedding would give them."""
    version = hashlib.sha256(text.encode()).hexdigest()
    document = Document(document_id(path), path, version, "note", "text/markdown", path, text)
    chunks = []
    for ordinal, start in enumerate(range(0, len(text), length)):
        end = min(start + length, len(text))
        place = {"start": start, "end": end, "text": text[start:end], "path": path}
        name = chunk_id(document.id, version, start, end)
        vector = unit(rng, SPACES["text"])
        chunks.append(
            embedded(document.id, ordinal, version=version, words=text[start:end], vector=vector, id=name, **place)
        )
    return document, chunks
