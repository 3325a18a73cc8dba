"""A small filled store for tests of searching: hashed vectors, words split at spaces."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.embed.hashing import HashingEmbedder
from rag.errors import ModelCorrupt
from rag.protocols import IMAGE_SPACE
from rag.records import Chunk, EmbeddedChunk, Hit, ModelState, Vector, chunk_id, document_id
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


class WordEyes:
    """An ImageEmbedder whose pictures are the words for what is on them: b"a red boat" shows a red boat.

    A word in a picture and the same word in a text lie near each other, with the distance that there is between the
    two kinds in every such model. `broken`: it cannot be loaded.
    """

    space = IMAGE_SPACE
    state = ModelState("image embedder", "words", "cpu", "fp32", "no model: pictures are words", loaded=True)

    def __init__(self, *, broken: bool = False) -> None:
        self._words = HashingEmbedder(dim=128)
        self._gap = np.eye(1, 129, 128, dtype=np.float32)
        self.dim, self.fingerprint, self.broken = 129, "word-eyes", broken

    def load(self) -> None:
        if self.broken:
            raise ModelCorrupt("the weights of 'words' are not what they should be")

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        return self._rows([picture.decode() for picture in pictures], 1.0)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._rows(texts, -1.0)

    def _rows(self, texts: Sequence[str], side: float) -> NDArray[np.float32]:
        self.load()
        rows = np.pad(self._words.embed(list(texts), "query"), ((0, 0), (0, 1))) + 0.5 * side * self._gap
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def made_picture(shows: str, path: str, *, number: int = 1, caption: str = "", text: str = "", **facts: Any) -> Chunk:
    """A picture that shows `shows` to WordEyes; one that shows the same is the very same picture."""
    place = made_chunk(text, path)
    return replace(
        place,
        id=chunk_id(place.document_id, "v1", 0, len(text), number),
        modality="image",
        picture=number,
        digest=hashlib.sha256(shows.encode()).hexdigest(),
        caption=caption,
        ordinal=number,
        **facts,
    )


def album(
    texts: Sequence[str],
    pictures: Sequence[tuple[str, Chunk]],
    embedder: HashingEmbedder,
    eyes: WordEyes,
    unseen: Collection[str] = (),
) -> MemoryStore:
    """A store of one note per text, /notes/0.md and so on, and of pictures with what they show.

    Pictures at the paths `unseen` have not been looked at.
    """
    store = MemoryStore({embedder.space: embedder.dim, eyes.space: eyes.dim})
    filed: dict[str, list[EmbeddedChunk]] = {}
    chunks = [("", made_chunk(text, f"/notes/{i}.md")) for i, text in enumerate(texts)] + list(pictures)
    for shows, chunk in chunks:
        said = f"{chunk.caption} {chunk.text}".strip()
        vectors = [Vector(embedder.space, embedder.embed([said], "passage")[0])] if said else []
        if shows and chunk.path not in unseen:
            vectors.append(Vector(eyes.space, eyes.embed_images([shows.encode()])[0]))
        filed.setdefault(chunk.document_id, []).append(EmbeddedChunk(chunk, terms(said), tuple(vectors)))
    store.replace_documents(filed)
    return store
