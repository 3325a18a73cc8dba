"""The index of a library to another store: chunks, words and vectors, nothing embedded again.

It may be cut off anywhere: documents that the target has in the same version, with as many chunks, are passed over,
and at the end all of both stores is compared, which also finds what has changed without a new version.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag.errors import StoreError
from rag.moving.pace import OnProgress, Pace
from rag.protocols import Store
from rag.records import EmbeddedChunk

BATCH_CHUNKS = 2048  # in one step
_NAMED = 3  # documents that a message names
_TOLERANCE = 1e-6  # of a vector's values: a server may keep them as they travel, in text


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did. `written` documents were not there, `mended` ones differed, `removed` ones were too many."""

    documents: int
    chunks: int
    written: int
    mended: int
    removed: int
    seconds: float


def copy_index(
    source: Store,
    target: Store,
    spaces: Sequence[str],
    *,
    prune: bool = False,
    on_progress: OnProgress | None = None,
) -> CopyReport:
    """Make `target` hold exactly what `source` does. Hold the library's write lock meanwhile.

    Args:
        source: the store to read from, opened with all of `spaces`.
        target: the store to write to, opened with the same spaces.
        spaces: the names of the spaces that are counted.
        prune: remove documents from the target that the source does not have.
        on_progress: called from this thread after each step.

    Raises:
        StoreError: the target holds other documents and `prune` is not set, a store failed, or the target does not
            give back what was written to it. What was written stays, and the next copy goes on there.
    """
    started = time.monotonic()
    wanted, there = source.versions(), target.versions()
    removed = _prune(target, sorted(there.keys() - wanted.keys()), prune)
    missing = {document: state for document, state in wanted.items() if there.get(document) != state}
    pace = Pace(_chunks(missing.values()) + _chunks(wanted.values()), on_progress)
    for group in _groups(missing):
        _write(target, group, source.embedded(group))
        pace.tell(group[-1], _chunks(missing[document] for document in group))
    mended = 0
    for group in _groups(wanted):
        mended += _mend(source, target, group)
        pace.tell(group[-1], _chunks(wanted[document] for document in group))
    target.maintain()
    _compare_counts(source, target, spaces)
    seconds = time.monotonic() - started
    return CopyReport(len(wanted), _chunks(wanted.values()), len(missing), mended, removed, seconds)


def _prune(target: Store, foreign: Sequence[str], prune: bool) -> int:
    if foreign and not prune:
        names = ", ".join(sorted({chunk.path for chunk in target.chunks(foreign[:_NAMED])}))
        raise StoreError(
            f"the target holds {len(foreign)} documents that are not in this library, such as {names}; copy to an "
            "empty store, or add --prune to remove them there"
        )
    for start in range(0, len(foreign), BATCH_CHUNKS):
        target.replace_documents(dict.fromkeys(foreign[start : start + BATCH_CHUNKS], ()))
    return len(foreign)


def _write(target: Store, documents: Sequence[str], embedded: Iterable[EmbeddedChunk]) -> None:
    by_document: dict[str, list[EmbeddedChunk]] = {document: [] for document in documents}
    for each in embedded:
        by_document[each.chunk.document_id].append(each)
    target.replace_documents(by_document)


def _mend(source: Store, target: Store, documents: Sequence[str]) -> int:
    """Write those documents again that the target does not have as the source does; how many there were."""
    expected = source.embedded(documents)
    if not (unlike := _unlike(expected, target.embedded(documents))):
        return 0
    rewritten = [each for each in expected if each.chunk.document_id in unlike]
    _write(target, sorted(unlike), rewritten)
    if wrong := _unlike(rewritten, target.embedded(sorted(unlike))):
        path = next(each.chunk.path for each in rewritten if each.chunk.document_id in wrong)
        raise StoreError(f"the target does not give back {path!r} as it was written; run the copy again")
    return len(unlike)


def _unlike(expected: Iterable[EmbeddedChunk], found: Iterable[EmbeddedChunk]) -> set[str]:
    """The ids of documents that are not the same in both."""
    by_id = {each.chunk.id: each for each in found}
    unlike = set()
    for each in expected:
        other = by_id.pop(each.chunk.id, None)
        if other is None or not _is_same(each, other):
            unlike.add(each.chunk.document_id)
    return unlike | {each.chunk.document_id for each in by_id.values()}


def _is_same(one: EmbeddedChunk, other: EmbeddedChunk) -> bool:
    theirs = {vector.space: vector.values for vector in other.vectors}
    return (
        one.chunk == other.chunk
        and one.words == other.words
        and [vector.space for vector in one.vectors] == list(theirs)
        and all(np.allclose(each.values, theirs[each.space], rtol=0, atol=_TOLERANCE) for each in one.vectors)
    )


def _compare_counts(source: Store, target: Store, spaces: Sequence[str]) -> None:
    for space in (None, *spaces):
        expected, found = source.count(without=space), target.count(without=space)
        if expected != found:
            what = "chunks" if space is None else f"chunks without a vector in {space!r}"
            raise StoreError(
                f"the target holds {found} {what}, the source {expected}; is another program writing to it?"
            )


def _groups(documents: Mapping[str, tuple[str, int]]) -> Iterator[list[str]]:
    """Documents in steps that fit into memory, a larger one by itself."""
    group: list[str] = []
    chunks = 0
    for document in sorted(documents):
        count = documents[document][1]
        if group and chunks + count > BATCH_CHUNKS:
            yield group
            group, chunks = [], 0
        group.append(document)
        chunks += count
    if group:
        yield group


def _chunks(states: Iterable[tuple[str, int]]) -> int:
    return sum(count for _, count in states)
