"""How documents, chunks and vectors become members of an archive, a shard of whole documents at a time, and back.

A shard `n` is `documents/n.jsonl`, `chunks/n.jsonl` (each chunk with its words and the names of the spaces in which it
has a vector) and for each of these spaces `vectors/<space>/n.npy`, float32[N, D], rows in the order of the chunks.
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from rag.moving.archive import Archive, ArchiveWriter
from rag.records import Chunk, DocumentInfo, EmbeddedChunk, Vector, rows
from rag.store.catalogue import Kept

T = TypeVar("T")

SHARD_CHUNKS, SHARD_DOCUMENTS, SHARD_CHARACTERS = 4096, 512, 16_000_000

_KEPT = TypeAdapter(Kept)
_SHARD = re.compile(r"documents/(\d{6})\.jsonl")
_NPY_HEADER = 10_000  # bytes at most: a plain array's is 128


@dataclass(frozen=True, slots=True)
class _Line:
    """A chunk in its member: `spaces` name the arrays in which it has the next row."""

    chunk: Chunk
    words: str
    spaces: tuple[str, ...]


_LINE = TypeAdapter(_Line)


@dataclass(frozen=True, slots=True)
class Shard:
    """Some documents, whole, with all their chunks."""

    documents: Sequence[Kept]
    chunks: Sequence[EmbeddedChunk]

    def by_document(self) -> dict[str, list[EmbeddedChunk]]:
        """The chunks of each document; one that has none is there too."""
        found: dict[str, list[EmbeddedChunk]] = {kept.document.id: [] for kept in self.documents}
        for chunk in self.chunks:
            found.setdefault(chunk.chunk.document_id, []).append(chunk)
        return found

    def vectors(self) -> dict[str, list[Vector]]:
        """The vectors of each space, in the order of the chunks."""
        found: dict[str, list[Vector]] = {}
        for vector in (vector for chunk in self.chunks for vector in chunk.vectors):
            found.setdefault(vector.space, []).append(vector)
        return found


def plan(infos: Iterable[DocumentInfo]) -> Iterator[list[str]]:
    """The ids of documents in groups that fit into memory, a document larger than that by itself."""
    group: list[str] = []
    chunks = characters = 0
    for info in infos:
        full = chunks + info.chunks > SHARD_CHUNKS or characters + info.size > SHARD_CHARACTERS
        if group and (full or len(group) >= SHARD_DOCUMENTS):
            yield group
            group, chunks, characters = [], 0, 0
        group.append(info.id)
        chunks += info.chunks
        characters += info.size
    if group:
        yield group


def write_shard(archive: ArchiveWriter, number: int, shard: Shard) -> None:
    """Add the members of a shard."""
    archive.add(f"documents/{number:06d}.jsonl", lines(_KEPT.dump_json(kept) for kept in shard.documents))
    kept = (_Line(e.chunk, e.words, tuple(vector.space for vector in e.vectors)) for e in shard.chunks)
    archive.add(f"chunks/{number:06d}.jsonl", lines(map(_LINE.dump_json, kept)))
    for space, vectors in shard.vectors().items():
        buffer = io.BytesIO()
        npy.write_array(buffer, rows(vectors), version=(1, 0), allow_pickle=False)
        archive.add(f"vectors/{space}/{number:06d}.npy", buffer.getvalue(), deflated=False)


def read_shards(archive: Archive, spaces: Mapping[str, int]) -> Iterator[Shard]:
    """Every shard in order; `spaces` maps the name of each space that may occur to its dimension.

    Raises:
        ArchiveError: a member is damaged, missing, or not what it should be.
    """
    for name in archive.names("documents"):
        match = _SHARD.fullmatch(name)
        if match is None:
            raise archive.error(f"{name!r} is not a member of a library")
        number = match[1]
        documents = read_lines(archive, name, _KEPT)
        yield Shard(documents, list(_chunks(archive, number, spaces)))


def lines(records: Iterable[bytes]) -> bytes:
    """JSON texts, each of which has no line break, as JSON lines."""
    return b"".join(record + b"\n" for record in records)


def read_lines(archive: Archive, name: str, form: TypeAdapter[T]) -> list[T]:
    """The records of a member of JSON lines; ArchiveError where one is not of that form."""
    try:
        return [form.validate_json(line) for line in archive.read(name).splitlines()]
    except ValidationError as exc:
        error = exc.errors()[0]
        raise archive.error(f"{name!r} holds a wrong record ({error['loc']}: {error['msg']})") from exc


def _chunks(archive: Archive, number: str, spaces: Mapping[str, int]) -> Iterator[EmbeddedChunk]:
    found = read_lines(archive, f"chunks/{number}.jsonl", _LINE)
    wanted = Counter(space for line in found for space in line.spaces)
    left = {space: iter(_array(archive, f"vectors/{space}/{number}.npy", n, spaces)) for space, n in wanted.items()}
    for line in found:
        yield EmbeddedChunk(line.chunk, line.words, tuple([Vector(space, next(left[space])) for space in line.spaces]))


def _array(archive: Archive, name: str, count: int, spaces: Mapping[str, int]) -> NDArray[np.float32]:
    """float32[count, D] from a member; its header is believed only if it says just that."""
    space = name.split("/")[1]
    if space not in spaces:
        raise archive.error(f"it has vectors in the space {space!r}, which its manifest does not name")
    expected = ((count, spaces[space]), False, np.dtype("<f4"))
    data = archive.read(name)
    buffer = io.BytesIO(data)
    try:
        wrong = npy.read_magic(buffer) != (1, 0) or npy.read_array_header_1_0(buffer, _NPY_HEADER) != expected
    except (ValueError, SyntaxError, RecursionError) as exc:
        raise archive.error(f"{name!r} is not an array ({exc})") from exc
    if wrong or len(data) - buffer.tell() != 4 * count * spaces[space]:
        raise archive.error(f"{name!r} is not the array that its chunks need")
    return np.frombuffer(data, "<f4", offset=buffer.tell()).astype(np.float32).reshape(count, spaces[space])
