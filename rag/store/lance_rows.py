"""How a chunk becomes a row of the table and a row a chunk again, every field a column of its own."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rag.records import Box, Chunk, EmbeddedChunk, Vector
from rag.store.checks import normal_words

_TEXTS = pa.list_(pa.string())
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}  # makes two writers of one id conflict, not duplicate

CHUNK_FIELDS = (
    pa.field("id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
    pa.field("document_id", pa.string(), nullable=False),
    pa.field("version", pa.string(), nullable=False),
    pa.field("ordinal", pa.int64(), nullable=False),
    pa.field("modality", pa.string(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
    pa.field("start", pa.int64(), nullable=False),
    pa.field("end", pa.int64(), nullable=False),
    pa.field("page", pa.int64()),
    pa.field("title", pa.string(), nullable=False),
    pa.field("headings", _TEXTS, nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("tags", _TEXTS, nullable=False),
    pa.field("date", pa.timestamp("us", tz="UTC")),
    pa.field("language", pa.string(), nullable=False),
    pa.field("picture", pa.int64()),
    pa.field("digest", pa.string(), nullable=False),
    pa.field("caption", pa.string(), nullable=False),
    pa.field("around", pa.string(), nullable=False),
    pa.field("region", pa.list_(pa.float64())),  # left, top, right, bottom
)
CHUNK_COLUMNS = [field.name for field in CHUNK_FIELDS]
WORDS_COLUMN = "words"
_WORDS = pa.field(WORDS_COLUMN, pa.string(), nullable=False)

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpaceColumns:
    """Where the table keeps a space: its vectors, null where a chunk has none, and `has`: true where it has one.

    `has` is there to be asked which chunks lack a vector: asked of `vectors`, all of them would be read from disk.
    """

    vectors: pa.Field
    has: pa.Field

    @classmethod
    def of(cls, space: str, dim: int, fingerprint: str | None = None) -> "SpaceColumns":
        """Columns named for the space and, where `fingerprint` is given, for the model that makes the vectors."""
        name = f"{space}_{hashlib.sha256(fingerprint.encode()).hexdigest()[:12]}" if fingerprint else space
        return cls(pa.field(f"vector_{name}", pa.list_(pa.float32(), dim)), pa.field(f"has_{name}", pa.bool_()))


def schema(spaces: Iterable[SpaceColumns]) -> pa.Schema:
    """The table's columns: the chunk's fields, its words, and two for each space."""
    return pa.schema([*CHUNK_FIELDS, _WORDS, *(field for space in spaces for field in (space.vectors, space.has))])


def to_table(embedded: Sequence[EmbeddedChunk], spaces: Mapping[str, SpaceColumns], whole: pa.Schema) -> pa.Table:
    """One row per chunk with the columns of `whole`, since an upsert keeps the old value of one that is left out.

    Null is what the columns of spaces get that are in the table but not among `spaces`.
    """
    columns = {field.name: _values(field, embedded) for field in CHUNK_FIELDS}
    columns[_WORDS.name] = pa.array([normal_words(e.words) for e in embedded], pa.string())
    for name, space in spaces.items():
        by_row = [next((v.values for v in e.vectors if v.space == name), None) for e in embedded]
        columns |= _vectors(by_row, space)
    arrays = [columns.get(field.name, pa.nulls(len(embedded), field.type)) for field in whole]
    return pa.table(arrays, schema=whole)


def to_vectors(vectors: Mapping[str, Values], space: SpaceColumns) -> pa.Table:
    """Rows of chunk ids with their vectors in one space, and nothing else."""
    columns = {"id": pa.array(vectors.keys(), pa.string()), **_vectors(list(vectors.values()), space)}
    return pa.table(list(columns.values()), schema=pa.schema([CHUNK_FIELDS[0], space.vectors, space.has]))


def to_chunks(table: pa.Table) -> Iterator[Chunk]:
    """The chunks of a table that has CHUNK_COLUMNS, in its order."""
    for row in table.select(CHUNK_COLUMNS).to_pylist():
        row["date"] = row["date"].astimezone(UTC) if row["date"] is not None else None
        row["region"] = Box(*row["region"]) if row["region"] is not None else None
        yield Chunk(**{**row, "headings": tuple(row["headings"]), "tags": tuple(row["tags"])})


def to_embedded(table: pa.Table, spaces: Mapping[str, SpaceColumns]) -> Iterator[EmbeddedChunk]:
    """The chunks of a table that has CHUNK_COLUMNS, words and the vectors of `spaces`, in its order."""
    words = table[WORDS_COLUMN].to_pylist()
    vectors: list[list[Vector]] = [[] for _ in words]
    for name, space in spaces.items():
        present = table[space.vectors.name].is_valid()
        places = np.flatnonzero(np.asarray(present))
        for place, values in zip(places, matrix(table.filter(present), space), strict=True):
            vectors[place].append(Vector(name, values))
    for chunk, terms, of_chunk in zip(to_chunks(table), words, vectors, strict=True):
        yield EmbeddedChunk(chunk, terms, tuple(of_chunk))


def matrix(table: pa.Table, space: SpaceColumns) -> Values:
    """float32[N, D]: the vectors of `space` in a table whose rows all have one."""
    values = table.column(space.vectors.name).combine_chunks()
    return np.asarray(values.flatten(), np.float32).reshape(len(values), space.vectors.type.list_size)


def _values(field: pa.Field, embedded: Sequence[EmbeddedChunk]) -> pa.Array:
    if field.name == "region":
        return pa.array([astuple(e.chunk.region) if e.chunk.region else None for e in embedded], field.type)
    return pa.array([getattr(e.chunk, field.name) for e in embedded], field.type)


def _vectors(by_row: Sequence[Values | None], space: SpaceColumns) -> dict[str, pa.Array]:
    """The two columns of `space`, by name."""
    dim = space.vectors.type.list_size
    values = np.stack([np.zeros(dim, np.float32) if v is None else v for v in by_row]).astype(np.float32)
    absent = pa.array([v is None for v in by_row])
    return {
        space.vectors.name: pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim, mask=absent),
        space.has.name: pa.array([None if v is None else True for v in by_row], pa.bool_()),
    }
