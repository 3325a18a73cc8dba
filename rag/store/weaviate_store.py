"""The store for a server or a cluster: Weaviate, reached with its own client.

What Weaviate 1.39 does, found by experiment, and what is made of it here:

- It has no transactions. Several objects change in one step by way of a state that every reader looks at, see
  rag/store/weaviate_state.py; that look is a second, short request after each answer.
- A search without a filter goes through the graph of its vector index, which misses a neighbour now and then. With a
  filter that leaves fewer than 40,000 vectors it compares them one by one, so every search has a filter.
- BM25 is MemoryStore's without the constant factor k1 + 1, which is put back here, and its idf counts chunks without
  words as well, one object more, the state, and in how many chunks a word is also those that were deleted and not
  compacted away: scores sink with every rewriting, the order changes little (eval/LOG.md).
- An answer has at most 10,000 objects, so a search finds no more, and deletes and lists go on until nothing is left.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weaviate.classes.query import MetadataQuery
from weaviate.collections.classes.filters import _Filters as Condition
from weaviate.exceptions import UnexpectedStatusCodeError

from rag.errors import IndexMismatch
from rag.filters import Filter
from rag.records import Chunk, EmbeddedChunk, Match
from rag.store.bm25 import K1
from rag.store.checks import checked, checked_query, checked_vectors, dimension, normal_words
from rag.store.exact import best, cosines, kth_highest
from rag.store.weaviate_connection import Address, Connection
from rag.store.weaviate_filters import A_CHUNK, all_of, condition, has, is_one_of, lacks
from rag.store.weaviate_objects import MOST, Objects
from rag.store.weaviate_options import DEFAULTS, ServerOptions, vector_config, walk_of, with_walk
from rag.store.weaviate_rows import (
    PROPERTIES,
    Properties,
    key,
    marked,
    rewritten,
    to_chunk,
    to_embedded,
    to_object,
    to_values,
    unmarked,
    vector_name,
)
from rag.store.weaviate_state import Replaced, State
from rag.store.weaviate_tenants import TenantVersions
from rag.store.weaviate_versions import CollectionVersions, Versions, once_known

Values = NDArray[np.float32]

_FIRST_VERSION = "v1"
_VALUES = 2_000  # ids in one filter
_MOVED = 500  # objects that are written anew in one step when vectors of another model go
_SLACK = 8  # objects fetched beyond k at first, to see whether a tie goes on there
_TIE = 1e-5  # of the score: above float32's rounding, below any difference that matters
_SHOWN = ["chunk", "chunk_id", "document_id", "generation"]
_EVERYTHING = [each.name for each in PROPERTIES if each.name != "state"]


class WeaviateStore:
    """A Store on the server at `url`, whose `spaces` map a name to the dimension of its vectors. Threads may share it.

    `made_by` is as for LanceStore: it maps an optional space to the fingerprint of the model that makes its vectors,
    and these have a name of their own for that model.

    Args:
        url: `weaviate://host:port[?grpc=port]`, or `https://cluster` for one with TLS.
        spaces: name of each space -> D.
        made_by: space -> fingerprint of its model.
        name: of the library, which has its own collections; its first letter is a capital.
        version: of the index. None is the live one, and a new library begins with one; another one is made beside
            the live one where it is not there yet. `versions_of_index` lists them and makes one live.
        api_key: the server's key, if it asks for one.
        options: how collections are made and asked, and whether this library is a tenant of a shared one.

    Raises:
        StoreError: the server is not there, refuses the key, or is too old.
        IndexMismatch: the index holds vectors of another dimension.
    """

    def __init__(
        self,
        url: str,
        spaces: Mapping[str, int],
        made_by: Mapping[str, str] | None = None,
        *,
        name: str = "Commonplace",
        version: str | None = None,
        api_key: str | None = None,
        options: ServerOptions = DEFAULTS,
    ) -> None:
        self._spaces = dict(spaces)
        self._made_by = dict(made_by or {})
        self._names = {space: vector_name(space, self._made_by.get(space)) for space in spaces}
        self._samples: dict[tuple[str, int], tuple[State, Values]] = {}
        self._options = options
        self._connection = Connection(Address.parse(url), api_key, options.level)
        try:
            self.versions_of_index = versions_of(self._connection, name, options)
            self._objects = self._open(version)
            self._complete()
        except BaseException:
            self._connection.close()
            raise

    def replace_documents(self, documents: Mapping[str, Sequence[EmbeddedChunk]]) -> None:
        embedded = checked(documents, self._spaces)
        if not documents:
            return
        with self._objects.writing() as state:
            generation = state.generation + 1
            objects = [to_object(each, generation, self._names) for each in embedded]
            self._objects.write(objects, Replaced(generation, documents=tuple(documents)))

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        rows = self._having("chunk_id", [key(name) for name in ids], ["chunk"])
        found = {chunk.id: chunk for chunk in (to_chunk(row.properties) for row in rows)}
        return [found[name] for name in ids if name in found]

    def chunks(self, documents: Sequence[str]) -> list[Chunk]:
        place = {document: i for i, document in enumerate(dict.fromkeys(documents))}
        rows = self._having("document_id", [marked(name) for name in place], ["chunk"])
        found = (to_chunk(row.properties) for row in rows)
        return sorted(found, key=lambda chunk: (place[chunk.document_id], chunk.ordinal, chunk.id))

    def embedded(self, documents: Sequence[str]) -> list[EmbeddedChunk]:
        place = {document: i for i, document in enumerate(dict.fromkeys(documents))}
        wanted = [marked(name) for name in place]
        rows = self._having("document_id", wanted, ["chunk", "words"], list(self._names.values()))
        found = (to_embedded(row.properties, row.vector, self._names) for row in rows)
        return sorted(found, key=lambda e: (place[e.chunk.document_id], e.chunk.ordinal, e.chunk.id))

    def vectors(self, space: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        name = self._of(space)
        rows = self._having("chunk_id", [key(each) for each in ids], [], [name])
        found = {row.properties["chunk_id"]: to_values(row.vector[name]) for row in rows if name in row.vector}
        return {each: found[key(each)] for each in ids if key(each) in found}

    def add_vectors(self, space: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        checked_vectors(space, vectors, self._spaces)
        name = self._of(space)
        if not vectors:
            return
        by_key = {key(each): values for each, values in vectors.items()}
        with self._objects.writing() as state:
            objects = []
            for some in _parts(list(by_key)):
                where = all_of((is_one_of("chunk_id", some), state.visible()))
                for each in self._objects.listed("read vectors", where, _EVERYTHING, True):
                    held = {**each.vector, name: by_key[each.properties["chunk_id"]]}
                    objects.append(rewritten(each.properties, held, state.generation + 1))
            if objects:
                self._objects.write(objects, Replaced(state.generation + 1, ids=tuple(vectors)))

    def without_vector(self, space: str, k: int, where: Filter | None = None) -> list[Chunk]:
        lacking = self._lacking(space, where)

        def ask(state: State) -> list[Chunk]:
            found = self._objects.listed("list chunks", all_of((lacking, state.visible())), ["chunk"])
            return [to_chunk(each.properties) for each in islice(found, k)]

        return self._objects.steadily(ask) if k > 0 else []

    def sample(self, space: str, n: int) -> NDArray[np.float32]:
        name = self._of(space)

        def ask(state: State) -> Values:
            kept = self._samples.get((space, n))
            if kept is not None and kept[0] == state:
                return kept[1]
            found = self._objects.listed("read vectors", all_of((has(name), state.visible())), [], [name])
            rows = [to_values(each.vector[name]) for each in islice(found, max(n, 0))]
            sample = np.stack(rows) if rows else np.empty((0, self._spaces[space]), np.float32)
            self._samples[space, n] = state, sample
            return sample

        return self._objects.steadily(ask)

    def search_vector(
        self, space: str, vector: NDArray[np.float32], k: int, where: Filter | None = None
    ) -> list[Match]:
        query = checked_query(space, vector, self._spaces)
        name = self._of(space)

        def nearest(limit: int, visible: Condition | None) -> Iterator[tuple[Properties, float]]:
            allowed = all_of((has(name), visible, None if where is None else condition(where)))
            found = self._objects.call(
                "search by vector",
                lambda target: target.query.near_vector(
                    query,
                    target_vector=name,
                    filters=allowed,
                    limit=limit,
                    include_vector=[name],
                    return_properties=_SHOWN,
                ),
            ).objects
            if found:
                scores = cosines(np.stack([to_values(each.vector[name]) for each in found]), query)
                yield from zip((each.properties for each in found), scores.tolist(), strict=True)

        return self._top(nearest, k)

    def search_words(self, words: str, k: int, where: Filter | None = None) -> list[Match]:
        terms = normal_words(words)

        def wordiest(limit: int, visible: Condition | None) -> Iterator[tuple[Properties, float]]:
            found = self._objects.call(
                "search by words",
                lambda target: target.query.bm25(
                    terms,
                    query_properties=["words"],
                    filters=all_of((visible, None if where is None else condition(where))),
                    limit=limit,
                    return_metadata=MetadataQuery(score=True),
                    return_properties=_SHOWN,
                ),
            ).objects
            return ((each.properties, each.metadata.score * (K1 + 1)) for each in found)

        return self._top(wordiest, k) if terms else []

    def count(self, where: Filter | None = None, without: str | None = None) -> int:
        counted = self._lacking(without, where) if without is not None else self._chunks_that(where)

        def ask(state: State) -> int:
            wanted = all_of((counted, state.visible()))
            found = self._objects.call(
                "count chunks", lambda target: target.aggregate.over_all(filters=wanted, total_count=True)
            )
            return int(found.total_count)

        return self._objects.steadily(ask)

    def versions(self) -> dict[str, tuple[str, int]]:
        def ask(state: State) -> dict[str, tuple[str, int]]:
            names = ["chunk_id", "document_id", "generation", "version"]
            found = self._objects.walked("list what is indexed", names)
            shown = Counter((each["document_id"], each["version"]) for each in found if state.shows(each))
            return {unmarked(document): (version, count) for (document, version), count in shown.items()}

        return self._objects.steadily(ask)

    def maintain(self) -> None:
        """Delete what interrupted writes and other models left; the server tidies its own files."""
        with self._objects.writing():
            self._objects.tidy()
        self._set_walk()
        self._drop_vectors_of_other_models()

    def close(self) -> None:
        self._connection.close()

    # --- opening -------------------------------------------------------------------------------------------------

    def _open(self, version: str | None) -> Objects:
        """The objects of the live version, or of `version`, once it is there."""
        versions = self.versions_of_index
        shelf = versions.shelf(version)
        if version is not None or versions.live() is None:
            versions.create(version or _FIRST_VERSION, {self._names[space]: dim for space, dim in self._spaces.items()})
            if version is None:
                versions.make_live(_FIRST_VERSION)
        return once_known(lambda: Objects(self._connection, shelf))

    def _complete(self) -> None:
        """Make the vectors of spaces that the collection does not know yet, and refuse those it knows otherwise."""
        made = self._objects.state.vectors
        for space, dim in self._spaces.items():
            name = self._names[space]
            if made.get(name, dim) != dim:
                raise IndexMismatch(
                    f"the index holds vectors of {made[name]} numbers in {space!r}, the embedder makes {dim}; "
                    "use the embedder that wrote the index, or index the files again into another RAG_HOME"
                )
            if name not in made:
                self._add_vector(name)

    def _add_vector(self, name: str) -> None:
        config = self._objects.definition.config

        def attempt() -> None:
            if name in (config.get().vector_config or {}):
                return
            try:
                config.add_vector(vector_config=vector_config(name, self._options))
            except UnexpectedStatusCodeError:
                if name not in (config.get().vector_config or {}):  # it is there if another process was quicker
                    raise

        self._connection.change("prepare the index", attempt)

    def _set_walk(self) -> None:
        """Give the vectors of this library the `ef` that is chosen: of all options it can change at any time."""
        config, ef = self._objects.definition.config, self._options.ef

        def attempt() -> None:
            known = config.get().vector_config or {}
            ours = [name for name in self._names.values() if walk_of(known[name].vector_index_config) != ef]
            if ours:
                config.update(vector_config=[with_walk(name, ef) for name in ours])

        self._connection.change("prepare the index", attempt)

    def _drop_vectors_of_other_models(self) -> None:
        ours, beginnings = set(self._names.values()), tuple(f"{space}_" for space in self._made_by)
        known = self._connection.ask("look at the index", self._objects.definition.config.get).vector_config or {}
        for name in known:
            if name.startswith(beginnings) and name not in ours:
                while self._drop_some(name):
                    pass

    def _drop_some(self, name: str) -> bool:
        """Write some objects that have a vector of that name anew without it; whether there were any."""
        with self._objects.writing() as state:
            having = all_of((has(name), state.visible()))
            found = list(islice(self._objects.listed("read vectors", having, _EVERYTHING, True), _MOVED))
            if found:
                objects = [
                    rewritten(
                        each.properties,
                        {other: values for other, values in each.vector.items() if other != name},
                        state.generation + 1,
                    )
                    for each in found
                ]
                ids = tuple(to_chunk(each.properties).id for each in found)
                self._objects.write(objects, Replaced(state.generation + 1, ids=ids))
        return bool(found)

    # --- reading -------------------------------------------------------------------------------------------------

    def _of(self, space: str) -> str:
        dimension(space, self._spaces)
        return self._names[space]

    def _chunks_that(self, where: Filter | None) -> Condition | None:
        return A_CHUNK if where is None else A_CHUNK & condition(where)

    def _lacking(self, space: str, where: Filter | None) -> Condition | None:
        """The condition of the chunks that match and have no vector in `space`."""
        return all_of((self._chunks_that(where), lacks(self._of(space))))

    def _having(self, name: str, values: Sequence[str], wanted: Sequence[str], vectors: Any = False) -> list[Any]:
        """The objects whose property `name` is one of `values`, with the properties and vectors `wanted`."""

        def ask(state: State) -> list[Any]:
            conditions = [all_of((is_one_of(name, some), state.visible())) for some in _parts(values)]
            return [row for where in conditions for row in self._objects.listed("read chunks", where, wanted, vectors)]

        return self._objects.steadily(ask) if values else []

    def _top(self, fetch: Callable[[int, Condition | None], Iterator[tuple[Properties, float]]], k: int) -> list[Match]:
        """The k best of what `fetch(limit)` finds, asking for more while a tie at k may go on beyond the limit.

        A server that was killed may find what its own filter should leave out, so that is looked at once more.
        """

        def ask(state: State) -> list[Match]:
            limit = min(k + _SLACK, MOST)
            while True:
                fetched = list(fetch(limit, state.visible()))
                found = [Match(to_chunk(properties), score) for properties, score in fetched if state.shows(properties)]
                scores = np.array([match.score for match in found])
                reached = len(found) >= k and scores.min() <= kth_highest(scores, k) - _TIE
                if reached or len(fetched) < limit or limit == MOST:
                    return [found[i] for i in best([match.chunk.id for match in found], scores, k)]
                limit = min(4 * limit, MOST)

        return self._objects.steadily(ask) if k > 0 else []


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _VALUES] for start in range(0, len(values), _VALUES))


def versions_of(connection: Connection, name: str, options: ServerOptions) -> Versions:
    """The versions of the library `name`: collections, or tenants of a shared one."""
    if options.tenant is None:
        return CollectionVersions(connection, name, options)
    return TenantVersions(connection, options.tenant, name, options)
