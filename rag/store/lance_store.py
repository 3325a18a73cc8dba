"""The default store: LanceDB, inside this process, in one folder.

What LanceDB does, found by experiment with 0.40, and what is made of it here:

- BM25 is what MemoryStore computes, to float32, once `maintain` has run. Until then, words written since count with
  statistics a little out of date, and so do words of chunks that were removed. Both are found or gone at once.
- `merge_insert` is one atomic commit, with a delete of what is not in the source as part of it. That delete reads
  the whole table (0.6 s at 100,000 rows), so it is only asked for when a document leaves old chunks behind.
- An upsert of some columns moves the whole row, bit by bit as it was, to the end of the table: what it costs depends
  on the rows that it names (0.2 s of it is looking for them, at 100,000 rows), not on the size of the column.
- `optimize` rewrites the word index (3 s at 100,000 rows), so it runs after many changes, not after each.
- A search costs 7 ms at least, whatever it finds. So a small index that is asked again and again without a change in
  between is held in memory (`rag/store/held_rows.py`), which answers in less than one.
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock
from lancedb.index import FTS, IvfRq
from lancedb.query import LanceQueryBuilder, LanceVectorQueryBuilder, MatchQuery
from numpy.typing import NDArray

from rag.errors import DiskFull, IndexMismatch, StoreError
from rag.filters import Filter
from rag.records import Chunk, EmbeddedChunk, Match
from rag.store.checks import checked, checked_query, checked_vectors, dimension, normal_words
from rag.store.exact import best, cosines, kth_highest
from rag.store.held_rows import HeldRows
from rag.store.lance_rows import (
    CHUNK_COLUMNS,
    CHUNK_FIELDS,
    WORDS_COLUMN,
    SpaceColumns,
    matrix,
    schema,
    to_chunks,
    to_embedded,
    to_table,
    to_vectors,
)
from rag.store.lance_sql import is_one_of, sql

_LOG = logging.getLogger(__name__)

_TABLE = "chunks"
_WORDS_INDEX = "words_idx"
# Words arrive analysed: they are split at white space and otherwise left alone, however long.
_WORDS = FTS(
    base_tokenizer="whitespace",
    stem=False,
    remove_stop_words=False,
    lower_case=False,
    ascii_folding=False,
    max_token_length=None,
    with_position=False,
)

INDEX_FROM = 50_000  # vectors; fewer are searched exactly in less time than an index is worth
EXACT_BELOW = 40_000  # chunks that a filter leaves; an index misses neighbours under narrow filters
_PROBES = 20  # partitions looked into at least; more until k are found
_REFINE = 10  # candidates per hit whose exact distance is taken; without it distances are estimates

_TIDY_ROWS, _TIDY_SHARE, _TIDY_WRITES = 5_000, 10, 20
_KEEP_VERSIONS = timedelta(minutes=2)  # longer than any single read of another process
_SLACK = 8  # rows fetched beyond k at first, to see whether a tie goes on there
_TIE = 1e-5  # of the score: above float32's rounding, below any difference that matters


@dataclass(frozen=True, slots=True)
class Holding:
    """When the index is held in memory: up to `chunks`, from the `asked`-th read of the same version on.

    A question reads three to eight times, so a single one, and one between two writes, do not pay for the holding.
    """

    chunks: int = 20_000  # a third of a second of processor to read, 170 MB with vectors of 384 numbers
    asked: int = 10


class LanceStore:
    """A Store in `folder` whose `spaces` map a name to the dimension of its vectors. Threads may share it.

    A space may be optional, that of pictures is: `made_by` maps it to the fingerprint of the model that makes its
    vectors, and these are kept in columns of their own for that model. Opened without the space, the store leaves its
    vectors alone, save those of documents that are replaced. Opened for another model, it begins with none, so that
    vectors of two models never meet, and gives back the room of the old ones when it tidies up.
    """

    def __init__(
        self,
        folder: Path,
        spaces: Mapping[str, int],
        made_by: Mapping[str, str] | None = None,
        holding: Holding = Holding(),
    ) -> None:
        self._spaces = dict(spaces)
        self._made_by = dict(made_by or {})
        self._columns = {name: SpaceColumns.of(name, dim, self._made_by.get(name)) for name, dim in spaces.items()}
        self._writing = threading.Lock()
        self._changed_rows = self._writes = 0
        self._removed = False  # since the word index was built: its statistics still count what is gone
        self._samples: dict[tuple[str, int], tuple[int, NDArray[np.float32]]] = {}  # with the table's version
        self._holding, self._reading = holding, threading.Lock()
        self._asked = 0, 0  # a version of the table, and how often it was read
        self._held: tuple[int, HeldRows] | None = None  # with the table's version
        with _translated(f"open the index in {str(folder)!r}"):
            self._table = self._open(folder)
            self._complete()

    def replace_documents(self, documents: Mapping[str, Sequence[EmbeddedChunk]]) -> None:
        embedded = checked(documents, self._spaces)
        theirs = is_one_of("document_id", documents)
        with self._writing, _translated("write to the index"):
            old = set(self._rows(theirs, ["id"])["id"].to_pylist())
            left_over = old - {e.chunk.id for e in embedded}
            if embedded:
                self._upsert(embedded, theirs if left_over else None)
            elif old:
                self._table.delete(theirs)
            self._removed = self._removed or bool(old)
            self._changed_rows += len(old) + len(embedded)
            self._writes += 1
            self._tidy_if_due()

    def get(self, ids: Sequence[str]) -> list[Chunk]:
        with _translated("read chunks"):
            if held := self._in_memory():
                return held.get(ids)
            found = {chunk.id: chunk for chunk in to_chunks(self._rows(is_one_of("id", ids), CHUNK_COLUMNS))}
        return [found[name] for name in ids if name in found]

    def chunks(self, documents: Sequence[str]) -> list[Chunk]:
        place = {document: i for i, document in enumerate(dict.fromkeys(documents))}
        with _translated("read the chunks of documents"):
            found = list(to_chunks(self._rows(is_one_of("document_id", place), CHUNK_COLUMNS)))
        return sorted(found, key=lambda chunk: (place[chunk.document_id], chunk.ordinal, chunk.id))

    def embedded(self, documents: Sequence[str]) -> list[EmbeddedChunk]:
        place = {document: i for i, document in enumerate(dict.fromkeys(documents))}
        columns = [*CHUNK_COLUMNS, WORDS_COLUMN, *(each.vectors.name for each in self._columns.values())]
        with _translated("read the chunks and vectors of documents"):
            found = list(to_embedded(self._rows(is_one_of("document_id", place), columns), self._columns))
        return sorted(found, key=lambda e: (place[e.chunk.document_id], e.chunk.ordinal, e.chunk.id))

    def vectors(self, space: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        columns = self._of(space)
        with _translated("read vectors"):
            if held := self._in_memory():
                return held.vectors(space, ids)
            rows = self._rows(is_one_of("id", ids), ["id", columns.vectors.name])
        rows = rows.filter(rows[columns.vectors.name].is_valid())  # asked of LanceDB, it would read the whole column
        return dict(zip(rows["id"].to_pylist(), matrix(rows, columns), strict=True))

    def add_vectors(self, space: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        checked_vectors(space, vectors, self._spaces)
        if not vectors:
            return
        with self._writing, _translated("write vectors to the index"):
            merge = self._table.merge_insert("id").use_index(False).when_matched_update_all()
            merge.execute(to_vectors(vectors, self._of(space)), on_bad_vectors="null")
            self._removed = True  # the rows moved, and the index of words counts them where they were as well
            self._changed_rows += len(vectors)
            self._writes += 1
            self._tidy_if_due()

    def without_vector(self, space: str, k: int, where: Filter | None = None) -> list[Chunk]:
        condition = self._lacking(space, where)
        if k <= 0:
            return []
        with _translated("list chunks without a vector"):
            ids = self._rows(condition, ["id"])["id"]
            return self.get(_first(ids, k).to_pylist()) if len(ids) else []

    def sample(self, space: str, n: int) -> NDArray[np.float32]:
        columns = self._of(space)
        with _translated("read vectors"):
            if held := self._in_memory():
                return held.sample(space, n)
            version = int(self._table.version)
            kept = self._samples.get((space, n))
            if kept is not None and kept[0] == version:
                return kept[1]
            ids = _first(self._rows(columns.has.name, ["id"])["id"], max(n, 0))
            rows = self._rows(is_one_of("id", ids.to_pylist()), ["id", columns.vectors.name]).sort_by("id")
        rows = rows.filter(rows[columns.vectors.name].is_valid())  # a document may have gone in between
        self._samples[space, n] = version, matrix(rows, columns)
        return self._samples[space, n][1]

    def search_vector(
        self, space: str, vector: NDArray[np.float32], k: int, where: Filter | None = None
    ) -> list[Match]:
        query = checked_query(space, vector, self._spaces)
        columns = self._of(space)
        name = columns.vectors.name

        def nearest(limit: int) -> tuple[pa.Table, NDArray[np.float64]]:
            any_search = self._table.search(query, vector_column_name=name, query_type="vector")
            search = cast(LanceVectorQueryBuilder, any_search).distance_type("cosine")
            if exactly:
                search = search.bypass_vector_index()
            else:  # a maximum of 0: as many partitions as it takes
                search = search.minimum_nprobes(_PROBES).maximum_nprobes(0).refine_factor(_REFINE)
            rows = _matching(search, where).limit(limit).select([*CHUNK_COLUMNS, name, "_distance"]).to_arrow()
            return rows, cosines(matrix(rows, columns), query)

        with _translated("search by vector"):
            if held := self._in_memory():
                return held.nearest(space, query, k, where)
            exactly = self._is_small(where)
            return self._top(nearest, k)

    def search_words(self, words: str, k: int, where: Filter | None = None) -> list[Match]:
        terms = normal_words(words)

        def wordiest(limit: int) -> tuple[pa.Table, NDArray[np.float64]]:
            # A bare string in quotation marks would be taken for a phrase. Its type hints miss the defaults.
            query = MatchQuery(terms, "words")  # type: ignore[call-arg]
            search = self._table.search(query, query_type="fts")
            rows = _matching(search, where).limit(limit).select([*CHUNK_COLUMNS, "_score"]).to_arrow()
            return rows, np.asarray(rows["_score"], np.float64)

        with _translated("search by words"):
            if held := self._in_memory():
                return held.wordiest(terms.split(), k, where)
            return self._top(wordiest, k) if terms else []

    def count(self, where: Filter | None = None, without: str | None = None) -> int:
        condition = sql(where) if where is not None else None
        if without is not None:
            condition = self._lacking(without, where)
        with _translated("count chunks"):
            return int(self._table.count_rows(condition))

    def versions(self) -> dict[str, tuple[str, int]]:
        with _translated("list what is indexed"):
            rows = self._rows("true", ["document_id", "version"])
        groups = rows.group_by(["document_id", "version"]).aggregate([([], "count_all")]).to_pylist()
        return {group["document_id"]: (group["version"], group["count_all"]) for group in groups}

    def maintain(self) -> None:
        with self._writing, _translated("tidy the index"):
            self._tidy()

    def close(self) -> None:
        """Nothing to close: LanceDB holds no lock and no unwritten data between calls."""

    def _open(self, folder: Path) -> lancedb.table.Table:
        # Without an interval of zero another process's writes would never be seen.
        database = lancedb.connect(folder, read_consistency_interval=timedelta(0))
        try:
            return database.open_table(_TABLE)
        except ValueError:  # it is not there, or another process is making it at this moment
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "creation.lock"):
                return database.create_table(_TABLE, schema=schema(self._columns.values()), exist_ok=True)

    # --- writing -------------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        """Make what an earlier program or a crash left undone: columns of chunks and spaces, the index of words."""
        missing = [field for field in CHUNK_FIELDS if field.name not in self._table.schema.names]
        if texts := {field.name: "''" for field in missing if not field.nullable}:
            self._table.add_columns(texts)
        if fields := [field for field in missing if field.nullable]:
            self._table.add_columns(fields)
        for name, columns in self._columns.items():
            self._complete_space(name, columns)
        if _WORDS_INDEX not in self._indexes():
            self._index_words_once()

    def _complete_space(self, space: str, columns: SpaceColumns) -> None:
        vectors, has = columns.vectors, columns.has.name
        if vectors.name not in self._table.schema.names:
            self._table.add_columns(vectors)
        found, wanted = self._table.schema.field(vectors.name).type.list_size, vectors.type.list_size
        if found != wanted:
            raise IndexMismatch(
                f"the index holds vectors of {found} numbers in {space!r}, the embedder makes {wanted}; "
                "use the embedder that wrote the index, or index the files again into another RAG_HOME"
            )
        if has not in self._table.schema.names:  # `nullif`, or the column would not take null
            self._table.add_columns({has: f"nullif({vectors.name} IS NOT NULL, false)"})

    def _index_words_once(self) -> None:
        try:
            self._table.create_index("words", config=_WORDS)
        except RuntimeError:  # a commit conflict, where another process opens the same new index
            if _WORDS_INDEX not in self._indexes():
                raise

    def _upsert(self, embedded: Sequence[EmbeddedChunk], delete_unless_given: str | None) -> None:
        merge = self._table.merge_insert("id").use_index(False)  # an index on id would let two writers duplicate
        merge = merge.when_matched_update_all().when_not_matched_insert_all()
        if delete_unless_given is not None:
            merge = merge.when_not_matched_by_source_delete(delete_unless_given)
        # "null" lets absent vectors be null; it would also hide wrong ones, which `checked` has refused before.
        merge.execute(to_table(embedded, self._columns, self._table.schema), on_bad_vectors="null")

    def _tidy_if_due(self) -> None:
        rows_due = max(_TIDY_ROWS, self._table.count_rows() // _TIDY_SHARE)
        if self._changed_rows < rows_due and self._writes < _TIDY_WRITES:
            return
        try:
            with _translated("tidy the index"):
                self._tidy()
        except StoreError:
            # The write itself stands. The next write tries again, and `maintain` raises what it meets.
            _LOG.warning("the index could not be tidied after a write; searches stay right but slow", exc_info=True)

    def _tidy(self) -> None:
        self._drop_vectors_of_other_models()
        self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        if self._removed:
            self._table.create_index("words", config=_WORDS, replace=True)
        indexes = self._indexes()
        for columns in self._columns.values():
            name = columns.vectors.name
            if f"{name}_idx" not in indexes and self._table.count_rows(columns.has.name) >= INDEX_FROM:
                self._table.create_index(name, config=IvfRq(distance_type="cosine"))
        self._changed_rows = self._writes = 0
        self._removed = False

    def _drop_vectors_of_other_models(self) -> None:
        ours = {field.name for columns in self._columns.values() for field in (columns.vectors, columns.has)}
        theirs = tuple(f"{kind}_{space}_" for space in self._made_by for kind in ("vector", "has"))
        old = [name for name in self._table.schema.names if name.startswith(theirs) and name not in ours]
        if old:
            self._table.drop_columns(old)

    def _indexes(self) -> set[str]:
        return {index.name for index in self._table.list_indices()}

    # --- reading -------------------------------------------------------------------------------------------------

    def _in_memory(self) -> HeldRows | None:
        """The whole index as it is now, if it is held or worth it; no thread waits while another reads it."""
        version, held = int(self._table.version), self._held
        if held is not None and held[0] == version:
            return held[1]
        self._held = None
        self._asked = version, (self._asked[1] if self._asked[0] == version else 0) + 1
        if self._asked[1] < self._holding.asked or self._table.count_rows() > self._holding.chunks:
            return None
        if not self._reading.acquire(blocking=False):
            return None
        try:
            return self._hold(version)
        finally:
            self._reading.release()

    def _hold(self, version: int) -> HeldRows | None:
        vectors = [columns.vectors.name for columns in self._columns.values()]
        held = HeldRows(self._rows("true", [*CHUNK_COLUMNS, WORDS_COLUMN, *vectors]), self._columns)
        if int(self._table.version) != version:  # written to in between
            return None
        self._held = version, held
        return held

    def _of(self, space: str) -> SpaceColumns:
        dimension(space, self._spaces)
        return self._columns[space]

    def _lacking(self, space: str, where: Filter | None) -> str:
        """The condition of the chunks that match and have no vector in `space`."""
        lacking = f"{self._of(space).has.name} IS NOT TRUE"
        return lacking if where is None else f"{lacking} AND {sql(where)}"

    def _rows(self, condition: str, columns: Sequence[str]) -> pa.Table:
        return self._table.search().where(condition).select(list(columns)).limit(None).to_arrow()

    def _is_small(self, where: Filter | None) -> bool:
        if self._table.count_rows() < INDEX_FROM:
            return True
        return where is not None and self._table.count_rows(sql(where)) < EXACT_BELOW

    def _top(self, fetch: Callable[[int], tuple[pa.Table, NDArray[np.float64]]], k: int) -> list[Match]:
        """The k best of what `fetch(limit)` finds, asking for more while a tie at k may go on beyond the limit."""
        total = self._table.count_rows()
        if k <= 0 or not total:
            return []
        limit = min(k + _SLACK, total)
        rows, scores = fetch(limit)
        while len(scores) == limit < total and scores.min() > kth_highest(scores, k) - _TIE:
            limit = min(4 * limit, total)
            rows, scores = fetch(limit)
        order = best(rows["id"].to_pylist(), scores, k)
        chunks = to_chunks(rows.take(pa.array(order, pa.int64())))
        return [Match(chunk, float(scores[i])) for chunk, i in zip(chunks, order, strict=True)]


def _first(ids: pa.ChunkedArray, k: int) -> pa.ChunkedArray:
    """The first `k` of `ids` in their order."""
    return ids.take(pc.sort_indices(ids)[:k])


def _matching(search: LanceQueryBuilder, where: Filter | None) -> LanceQueryBuilder:
    """Filtered before it is ranked: afterwards, too few would be left."""
    return search if where is None else search.where(sql(where), prefilter=True)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn what LanceDB and Arrow raise into our errors, at the edge."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, LookupError, TypeError) as exc:
        if getattr(exc, "errno", None) == errno.ENOSPC or "No space left" in str(exc):
            raise DiskFull(f"cannot {doing}: the disk is full; make room and try again") from exc
        raise StoreError(f"cannot {doing}: {exc}") from exc
