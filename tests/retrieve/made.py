"""A small filled store for tests of searching: hashed vectors, words split at spaces."""

import hashlib
from collections.abc import Sequence

from rag.embed.hashing import HashingEmbedder
from rag.records import Chunk, EmbeddedChunk, Hit, Vector, chunk_id, document_id
from rag.store.memory_store import MemoryStore


def made_chunk(text: str, path: str = "/notes/a.md", ordinal: int = 0, **facts: object) -> Chunk:
    document = document_id(path)
    return Chunk(
        id=chunk_id(document, "v1", ordinal, ordinal + len(text)),
        document_id=document,
        version=hashlib.sha256(b"v1").hexdigest(),
        ordinal=ordinal,
        modality="text",
        text=text,
        start=ordinal,
        end=ordinal + len(text),
        page=None,
        title="",
        headings=(),
        path=path,
        kind="note",
        **facts,  # type: ignore[arg-type]
    )


def made_hits(*texts_and_paths: tuple[str, str]) -> tuple[Hit, ...]:
    chunks = [made_chunk(text, path, ordinal) for ordinal, (text, path) in enumerate(texts_and_paths)]
    return tuple(Hit(chunk, rank, 1 / rank, ()) for rank, chunk in enumerate(chunks, start=1))


def filled(texts: Sequence[str], embedder: HashingEmbedder) -> MemoryStore:
    """A store with one document per text, /notes/0.md and so on."""
    store = MemoryStore({embedder.space: embedder.dim})
    chunks = [made_chunk(text, f"/notes/{i}.md") for i, text in enumerate(texts)]
    rows = embedder.embed(list(texts), "passage")
    store.replace_documents(
        {
            chunk.document_id: [EmbeddedChunk(chunk, terms(chunk.text), (Vector(embedder.space, row),))]
            for chunk, row in zip(chunks, rows, strict=True)
        }
    )
    return store


def terms(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())
