"""The objects of one collection, read as of one moment and changed in one step: see rag/store/weaviate_state.py."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter as Where
from weaviate.classes.query import Sort
from weaviate.collections.classes.filters import _Filters as Condition
from weaviate.exceptions import InsufficientPermissionsError, WeaviateInsertManyAllFailedError

from rag.errors import StoreError
from rag.store.weaviate_connection import Connection, NoAnswer
from rag.store.weaviate_filters import all_of
from rag.store.weaviate_rows import Properties
from rag.store.weaviate_state import Replaced, State, is_of_generations
from rag.store.weaviate_versions import Shelf

T = TypeVar("T")

MOST = 10_000  # objects in one answer, and in one delete; the server's own limit
_REMOVING = "remove chunks from the index"
_BATCH = 100  # objects in one request
_ATTEMPTS = 3  # to insert an object that the server refuses
_PAGE = 500  # objects in one page of a list
_LONG = 900.0  # seconds that a walk through everything may take
_UNDER_WAY = 600.0  # seconds within which a request that was given up on, in any process, arrives or never does
_LOOK_AGAIN = 0.1  # seconds between two looks at vectors that are still taken in
_STEADY = 30.0  # seconds after which a reader gives up waiting for a moment without a write


class _NotRemoved(StoreError):
    """The server found objects to delete and failed to, for no reason that it tells."""


class Objects:
    """The objects on `shelf`."""

    def __init__(self, connection: Connection, shelf: Shelf) -> None:
        self._connection = connection
        self._shelf = shelf
        self._lock = threading.Lock()
        self.state = self._fetch_state()

    @property
    def definition(self) -> Any:
        """The client's collection whose configuration holds for these objects."""
        return self._shelf.definition(self.state)

    # --- reading -------------------------------------------------------------------------------------------------

    def steadily(self, ask: Callable[[State], T]) -> T:
        """What `ask` returns of a state that was in force from its first request to its last.

        Raises:
            StoreError: what `ask` raises; or the index was written to without a pause.
        """
        end = time.monotonic() + _STEADY
        while True:
            before = self.state
            try:
                found, failure = ask(before), None
            except NoAnswer:
                raise
            except StoreError as exc:
                found, failure = None, exc
            self.state = self._fetch_state()
            if self.state == before:
                if failure is not None:
                    raise failure
                return found  # type: ignore[return-value]  # there is one, since nothing failed
            if time.monotonic() > end:
                raise StoreError("the index is written to without a pause; try again") from failure

    def call(self, doing: str, ask: Callable[[Any], T]) -> T:
        """One request to the collection; `doing` completes "cannot ..."."""
        return self._connection.ask(doing, lambda: ask(self._shelf.objects(self.state)))

    def listed(self, doing: str, where: Condition | None, names: Sequence[str], vectors: Any = False) -> Iterator[Any]:
        """Every object that meets `where`, by chunk id, with the properties `names` and the vectors named."""
        wanted: dict[str, Any] = {
            "sort": Sort.by_property("chunk_id"),
            "limit": _PAGE,
            "return_properties": list({"chunk_id", *names}),
            "include_vector": vectors,
        }
        beyond = where
        while True:
            page = self._page(doing, beyond, wanted)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].properties["chunk_id"]
            beyond = all_of((where, Where.by_property("chunk_id").greater_than(last)))

    def walked(self, doing: str, names: Sequence[str]) -> list[Properties]:
        """The properties `names` of every object there is, shown or not, in no order."""
        objects = self._shelf.objects(self.state)
        return self._connection.call(
            doing,
            lambda: [each.properties for each in objects.iterator(return_properties=list(names), cache_size=MOST // 2)],
            _LONG,
        )

    def _page(self, doing: str, where: Condition | None, wanted: Mapping[str, Any]) -> list[Any]:
        found = self.call(doing, lambda target: target.query.fetch_objects(filters=where, **wanted))
        return list(found.objects)

    def _fetch_state(self) -> State:
        found = self._connection.ask("look at the index", self._shelf.state)
        if found is None:
            raise self._connection.explained("look at the index", "unexpected status code: 404")
        return found

    # --- writing -------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[State]:
        """One writer at a time; what an earlier one left undone is undone or finished before."""
        with self._lock:
            self.state = self._fetch_state()
            self._connection.await_leader("write to the index", self.definition.exists)
            self._settle()
            yield self.state

    def write(self, objects: Sequence[DataObject[Properties, None]], replaced: Replaced) -> None:
        """Insert `objects`, all of the generation of `replaced`, and delete what they replace, in one step.

        Call it inside `writing`, with the generation that follows the state's.
        """
        if objects:
            hidden, since = self.state.hidden, self.state.hidden_at
            hiding = (*hidden, replaced.generation)
            self._change(generation=replaced.generation, hidden=hiding, hidden_at=time.time())
            self._insert_all(objects, replaced.generation)
            self._change(hidden=hidden, hidden_at=since, replaced=replaced)
        else:
            self._change(generation=replaced.generation, replaced=replaced)
        self._settle()

    def tidy(self) -> None:
        """Delete what is hidden once more, and forget it once nothing more of it can arrive. Call it in `writing`."""
        if self.state.hidden:
            self._delete_hidden()
            if time.time() - self.state.hidden_at > _UNDER_WAY:
                self._delete_one_by_one()
                self._change(hidden=())

    def _delete_one_by_one(self) -> None:
        """Delete what is hidden but not found by its generation: a server that was killed may have it by halves."""

        def attempt() -> None:
            own = self._own()
            for each in own.iterator(return_properties=["generation"], cache_size=MOST // 2):
                if each.properties["generation"] in self.state.hidden:
                    own.data.delete_by_id(each.uuid)

        self._connection.call(_REMOVING, attempt, _LONG)

    def _settle(self) -> None:
        """Delete what the last write replaced, and what one that was cut off inserted."""
        if self.state.hidden:
            self._delete_hidden()
        if self.state.replaced is not None:
            self._delete(self.state.replaced.condition())
            self._change(replaced=None)

    def _change(self, **changes: Any) -> None:
        state = replace(self.state, revision=self.state.revision + 1, **changes)
        self._connection.change("write to the index", lambda: self._shelf.put_state(state))
        self.state = state

    def _own(self) -> Any:
        return self._shelf.own(self.state)

    def _insert_all(self, objects: Sequence[DataObject[Properties, None]], generation: int) -> None:
        """Insert `objects` and count them: a server that is in trouble blames only some of those that it loses."""
        for _ in range(_ATTEMPTS):
            self._insert(objects)
            arrived = self._connection.ask(
                "count what was written",
                lambda: self._own().aggregate.over_all(filters=is_of_generations((generation,)), total_count=True),
            ).total_count
            if arrived == len(objects):
                self._await_indexing()
                return
        raise StoreError(f"the Weaviate server kept {arrived} of {len(objects)} chunks; look at its log, and try again")

    def _await_indexing(self) -> None:
        """Wait until the vectors can be found: a server with ASYNC_INDEXING takes them in after it has answered."""
        end = time.monotonic() + _LONG
        while any(shard.status == "INDEXING" for shard in self._shards("write to the index")):
            if time.monotonic() > end:
                raise StoreError(
                    "cannot write to the index: the Weaviate server has taken the chunks but not their vectors for "
                    f"{_LONG / 60:.0f} minutes; look at its log, and set ASYNC_INDEXING to false"
                )
            time.sleep(_LOOK_AGAIN)

    def _shards(self, doing: str) -> list[Any]:
        """The parts that the objects are in: a tenant is one, by its name. None where the key may not see them."""

        def look() -> list[Any]:
            try:
                found = self.definition.config.get_shards()
            except InsufficientPermissionsError:  # the server tells of all tenants or of none
                return []
            return [each for each in found if each.name == self.state.collection] or found

        return self._connection.ask(doing, look)

    def _insert(self, objects: Sequence[DataObject[Properties, None]]) -> None:
        for start in range(0, len(objects), _BATCH):
            left = list(objects[start : start + _BATCH])
            errors: Mapping[int, str] = {}
            for _ in range(_ATTEMPTS):
                errors = self._refused(left)
                left = [left[i] for i in errors]
                if not left:
                    break
            if errors:
                first = next(iter(errors.values()))
                raise self._connection.explained("write to the index", f"{len(errors)} chunks were refused: {first}")

    def _refused(self, objects: Sequence[DataObject[Properties, None]]) -> Mapping[int, str]:
        """Insert `objects`; position and reason of each that was not taken."""

        def attempt() -> Mapping[int, str]:
            try:
                result = self._own().data.insert_many(objects)
            except WeaviateInsertManyAllFailedError as exc:
                return dict.fromkeys(range(len(objects)), str(exc))
            return {position: error.message for position, error in result.errors.items()}

        return self._connection.change("write to the index", attempt)

    def _delete_hidden(self) -> None:
        """Delete what is hidden, as far as the server can: after a kill it may not be able to, and nobody sees it."""
        with suppress(_NotRemoved):
            self._delete(is_of_generations(self.state.hidden))

    def _delete(self, where: Condition) -> None:
        while True:
            result = self._connection.change(_REMOVING, lambda: self._own().data.delete_many(where=where))
            if result.failed:
                raise self._not_removed(result.failed)
            if result.matches <= result.successful:
                return

    def _not_removed(self, count: int) -> StoreError:
        """Why: the server tells of a delete only that it failed."""
        if any(shard.status == "READONLY" for shard in self._shards(_REMOVING)):
            return self._connection.explained(_REMOVING, "store is read-only")
        return _NotRemoved(f"cannot remove {count} chunks from the index; look at the log of the server, and try again")
