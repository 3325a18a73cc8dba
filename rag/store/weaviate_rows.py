"""How a chunk becomes a Weaviate object and an object a chunk again.

The chunk itself is one JSON text that is not indexed, so that it comes back exactly. Beside it stand the properties
that are searched and filtered by. Their tokenisation FIELD would trim white space and drop empty values, so a text is
kept between two marks; a chunk's id is kept in hexadecimal, which every collation sorts as Python sorts the id.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from weaviate.classes.config import DataType, Property, Tokenization
from weaviate.classes.data import DataObject

from rag.records import Chunk, EmbeddedChunk, Vector
from rag.store.checks import normal_words

_CHUNK = TypeAdapter(Chunk)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECTS = uuid5(NAMESPACE_URL, "commonplace:chunk")

Values = NDArray[np.float32]
Properties = Mapping[str, Any]


def _exact(name: str, kind: DataType = DataType.TEXT) -> Property:
    return Property(
        name=name,
        data_type=kind,
        tokenization=Tokenization.FIELD,
        index_filterable=True,
        index_searchable=False,
    )


def _unindexed(name: str) -> Property:
    return Property(name=name, data_type=DataType.TEXT, index_filterable=False, index_searchable=False)


PROPERTIES = (
    _exact("chunk_id"),
    _exact("document_id"),
    _exact("path"),
    _exact("kind"),
    _exact("modality"),
    _exact("language"),
    _exact("digest"),
    _exact("tags", DataType.TEXT_ARRAY),
    _exact("folders", DataType.TEXT_ARRAY),  # each beginning of the path that ends with a separator
    _exact("spaces", DataType.TEXT_ARRAY),  # the names of the vectors that the object has
    Property(name="date", data_type=DataType.INT, index_filterable=False, index_range_filters=True),  # see `moment`
    Property(name="generation", data_type=DataType.INT, index_filterable=True),  # the write that it came with
    Property(
        name="words",
        data_type=DataType.TEXT,
        tokenization=Tokenization.WHITESPACE,
        index_filterable=False,
        index_searchable=True,
    ),
    _unindexed("version"),
    _unindexed("chunk"),
    _unindexed("state"),  # of the one object that is no chunk, see rag/store/weaviate_state.py
)


def vector_name(space: str, fingerprint: str | None = None) -> str:
    """The name of a space's vectors, which says which model made them where `fingerprint` is given."""
    return f"{space}_{hashlib.sha256(fingerprint.encode()).hexdigest()[:12]}" if fingerprint else space


def to_object(embedded: EmbeddedChunk, generation: int, names: Mapping[str, str]) -> DataObject[Properties, None]:
    """The object of a chunk as the write `generation` has it; `names` maps a space to the name of its vectors.

    Its UUID follows from both, so that sending it again replaces it and the version before it stays beside it.
    """
    chunk = embedded.chunk
    vectors = {names[v.space]: v.values for v in embedded.vectors}
    properties: dict[str, Any] = {
        "chunk_id": key(chunk.id),
        "generation": generation,
        "version": chunk.version,
        "words": normal_words(embedded.words),
        "chunk": _CHUNK.dump_json(_in_utc(chunk)).decode(),
        "tags": [marked(tag) for tag in chunk.tags],
        "folders": [marked(folder) for folder in _folders(chunk.path)],
        "spaces": [marked(name) for name in vectors],
        **{name: marked(getattr(chunk, name)) for name in _SAME},
    }
    if chunk.date is not None:
        properties["date"] = moment(chunk.date)
    return DataObject(properties, uuid=_object_id(properties["chunk_id"], generation), vector={**vectors})  # type: ignore[dict-item]


_SAME = ("document_id", "path", "kind", "modality", "language", "digest")


def to_chunk(properties: Properties) -> Chunk:
    """The chunk of an object that was read with its property `chunk`."""
    return _CHUNK.validate_json(properties["chunk"])


def to_embedded(properties: Properties, vectors: Mapping[str, Any], names: Mapping[str, str]) -> EmbeddedChunk:
    """The chunk of an object that was read with `chunk`, `words` and vectors; `names` is as in `to_object`."""
    kept = tuple(Vector(space, to_values(vectors[name])) for space, name in names.items() if name in vectors)
    return EmbeddedChunk(to_chunk(properties), properties["words"], kept)


def rewritten(properties: Properties, vectors: Mapping[str, Values], generation: int) -> DataObject[Properties, None]:
    """The object that was read with all its properties, as the write `generation` has it, with these vectors."""
    kept = {name: value for name, value in properties.items() if value is not None}
    kept |= {"generation": generation, "spaces": [marked(name) for name in vectors]}
    return DataObject(kept, uuid=_object_id(kept["chunk_id"], generation), vector={**vectors})  # type: ignore[dict-item]


def to_values(vector: Any) -> Values:
    """float32[D] of a vector as the client gives it."""
    return np.asarray(vector, np.float32)


def key(chunk_id: str) -> str:
    """A chunk's id as the property `chunk_id`."""
    return "x" + chunk_id.encode().hex()


def marked(text: str) -> str:
    """`text` between two marks."""
    return f"={text}="


def unmarked(text: str) -> str:
    """What `marked` was given."""
    return text[1:-1]


def moment(date: datetime) -> int:
    """Microseconds since 1970, exact from 1685 to 2255: numbers travel as float64, so others are off by up to 8."""
    return (date - _EPOCH) // timedelta(microseconds=1)


def _object_id(chunk_key: str, generation: int) -> UUID:
    return uuid5(_OBJECTS, f"{generation} {chunk_key}")


def _in_utc(chunk: Chunk) -> Chunk:
    return chunk if chunk.date is None else replace(chunk, date=chunk.date.astimezone(UTC))


def _folders(path: str) -> list[str]:
    return [path[: i + 1] for i, letter in enumerate(path) if letter in "/\\"]
