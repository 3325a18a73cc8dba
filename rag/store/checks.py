"""Is this fit to be stored or searched for? Asked by every store before it touches anything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.errors import StoreError
from rag.records import Chunk, EmbeddedChunk

_UNIT_TOLERANCE = 1e-3  # of a vector's length; float16 arithmetic stays within it


def checked(documents: Mapping[str, Sequence[EmbeddedChunk]], spaces: Mapping[str, int]) -> list[EmbeddedChunk]:
    """All chunks of `documents` in one list, once they are known to be fit for a store with `spaces` (name -> D).

    Raises:
        StoreError: a vector that is not finite, not of its space's dimension or not of length 1; an unknown space,
            or the same one twice; a chunk id given twice; a chunk filed under another document; two versions of one
            document; a date without a time zone; text that is not valid Unicode.
    """
    embedded = [chunk for chunks in documents.values() for chunk in chunks]
    _check_ids(embedded)
    for document, chunks in documents.items():
        _check_document(document, chunks)
    for chunk in embedded:
        _check_values(chunk)
        _check_shapes(chunk, spaces)
    for space in spaces:
        _check_lengths(space, [(e.chunk.id, v.values) for e in embedded for v in e.vectors if v.space == space])
    return embedded


def checked_vectors(space: str, vectors: Mapping[str, NDArray[np.float32]], spaces: Mapping[str, int]) -> None:
    """Refuse vectors (by chunk id) that are not finite, not of the dimension of `space` or not of length 1.

    Raises:
        StoreError: one of them is, or the space is unknown.
    """
    dim = dimension(space, spaces)
    for name, values in vectors.items():
        _check_shape(name, space, values, dim)
    _check_lengths(space, list(vectors.items()))


def checked_query(space: str, vector: NDArray[np.float32], spaces: Mapping[str, int]) -> NDArray[np.float32]:
    """`vector` as float32[D], once it is known to have a direction in `space`; StoreError otherwise."""
    dim = dimension(space, spaces)
    if np.shape(vector) != (dim,):
        raise StoreError(f"a query vector of {space!r} has {dim} numbers, not the shape {np.shape(vector)}")
    values = np.asarray(vector, np.float32)
    if not np.isfinite(values).all() or not values.any():
        raise StoreError(f"the query vector of {space!r} is zero or not finite; embed the query again")
    return values


def dimension(space: str, spaces: Mapping[str, int]) -> int:
    """D of `space`; StoreError when the store does not have it."""
    if space not in spaces:
        raise StoreError(f"unknown vector space {space!r}; this index has {', '.join(sorted(spaces)) or 'none'}")
    return spaces[space]


def normal_words(words: str) -> str:
    """`words` with single spaces: engines differ in what they call white space, Python's meaning holds."""
    return " ".join(words.split())


def _check_ids(embedded: Sequence[EmbeddedChunk]) -> None:
    seen: set[str] = set()
    for chunk in _chunks(embedded):
        if chunk.id in seen:
            raise StoreError(f"the chunk id {chunk.id!r} of {chunk.path!r} was given twice")
        seen.add(chunk.id)


def _check_document(document: str, embedded: Sequence[EmbeddedChunk]) -> None:
    _check_unicode("document id", document)
    for chunk in _chunks(embedded):
        if chunk.document_id != document:
            raise StoreError(f"the chunk {chunk.id!r} is of document {chunk.document_id!r}, filed under {document!r}")
    versions = sorted({chunk.version for chunk in _chunks(embedded)})
    if len(versions) > 1:
        raise StoreError(f"the chunks of document {document!r} are of several versions: {versions!r}")


def _check_values(embedded: EmbeddedChunk) -> None:
    chunk = embedded.chunk
    if chunk.date is not None and chunk.date.tzinfo is None:
        raise StoreError(f"the date {chunk.date} of {chunk.path!r} has no time zone; give it one")
    texts = (chunk.id, chunk.version, chunk.text, chunk.title, chunk.path, chunk.language, embedded.words)
    of_pictures = (chunk.digest, chunk.caption, chunk.around)
    _check_unicode(chunk.path, "".join((*texts, *of_pictures, *chunk.headings, *chunk.tags)))


def _check_unicode(name: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise StoreError(f"{name!r} holds characters that are not valid Unicode: {exc}") from exc


def _check_shapes(embedded: EmbeddedChunk, spaces: Mapping[str, int]) -> None:
    names = [vector.space for vector in embedded.vectors]
    if len(set(names)) < len(names):
        raise StoreError(f"the chunk {embedded.chunk.id!r} has two vectors of one space: {names!r}")
    for vector in embedded.vectors:
        _check_shape(embedded.chunk.id, vector.space, vector.values, dimension(vector.space, spaces))


def _check_shape(chunk: str, space: str, values: NDArray[np.float32], dim: int) -> None:
    if np.shape(values) != (dim,):
        raise StoreError(
            f"the chunk {chunk!r} has a vector of shape {np.shape(values)} in {space!r}, "
            f"whose vectors have {dim} numbers"
        )


def _check_lengths(space: str, pairs: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
    """`pairs` are chunk ids with their vectors."""
    if not pairs:
        return
    lengths = np.linalg.norm(np.stack([values for _, values in pairs]).astype(np.float64), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _UNIT_TOLERANCE))  # "not within" also catches NaN
    if wrong.size:
        name, length = pairs[int(wrong[0])][0], float(lengths[int(wrong[0])])
        raise StoreError(f"the vector of chunk {name!r} in {space!r} has length {length:.4g}; vectors have length 1")


def _chunks(embedded: Iterable[EmbeddedChunk]) -> Iterator[Chunk]:
    return (e.chunk for e in embedded)
