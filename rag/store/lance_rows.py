"""How a chunk becomes a row of the table and a row a chunk again, every field a column of its own."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rag.records import Chunk, EmbeddedChunk
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
)
CHUNK_COLUMNS = [field.name for field in CHUNK_FIELDS]


def column(space: str) -> str:
    """The name of the column that holds the vectors of `space`."""
    return f"vector_{space}"


def vector_field(space: str, dim: int) -> pa.Field:
    return pa.field(column(space), pa.list_(pa.float32(), dim))


def schema(spaces: Mapping[str, int]) -> pa.Schema:
    """The table's columns: the chunk's fields, its words, and a vector that may be null for each space."""
    vectors = [vector_field(space, dim) for space, dim in spaces.items()]
    return pa.schema([*CHUNK_FIELDS, pa.field("words", pa.string(), nullable=False), *vectors])


def to_table(embedded: Sequence[EmbeddedChunk], spaces: Mapping[str, int]) -> pa.Table:
    """One row per chunk with every column, since an upsert keeps the old value of a column that is left out."""
    columns = [_values(field, embedded) for field in CHUNK_FIELDS]
    columns.append(pa.array([normal_words(e.words) for e in embedded], pa.string()))
    columns += [_vectors(space, dim, embedded) for space, dim in spaces.items()]
    return pa.table(columns, schema=schema(spaces))


def to_chunks(table: pa.Table) -> Iterator[Chunk]:
    """The chunks of a table that has CHUNK_COLUMNS, in its order."""
    for row in table.select(CHUNK_COLUMNS).to_pylist():
        date = row["date"].astimezone(UTC) if row["date"] is not None else None
        yield Chunk(**{**row, "headings": tuple(row["headings"]), "tags": tuple(row["tags"]), "date": date})


def matrix(table: pa.Table, space: str) -> NDArray[np.float32]:
    """float32[N, D]: the vectors of `space` in a table whose rows all have one."""
    values = table.column(column(space)).combine_chunks()
    return np.asarray(values.flatten(), np.float32).reshape(len(values), values.type.list_size)


def _values(field: pa.Field, embedded: Sequence[EmbeddedChunk]) -> pa.Array:
    return pa.array([getattr(e.chunk, field.name) for e in embedded], field.type)


def _vectors(space: str, dim: int, embedded: Sequence[EmbeddedChunk]) -> pa.Array:
    by_row = [next((v.values for v in e.vectors if v.space == space), None) for e in embedded]
    values = np.stack([np.zeros(dim, np.float32) if v is None else v for v in by_row]).astype(np.float32)
    absent = pa.array([v is None for v in by_row])
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim, mask=absent)
